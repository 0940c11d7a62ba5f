// Messages to one thread from many, without a lock.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace tenon::engine {

// A stack that its one reader takes whole and turns round: messages come out in the order of their
// push. push() and wake() on any thread, the rest on the reader's.
template <class T>
class Inbox {
public:
    Inbox() = default;
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;
    ~Inbox() { free_all(head_.load(std::memory_order_acquire)); }

    void push(T message) {
        Node* node = new Node{std::move(message), head_.load(std::memory_order_relaxed)};
        while (!head_.compare_exchange_weak(node->next, node, std::memory_order_seq_cst,
                                            std::memory_order_relaxed)) {
        }
        ring();
    }

    // Calls `take` with each message that is here, oldest first.
    template <class Take>
    void drain(Take&& take) {
        if (head_.load(std::memory_order_relaxed) == nullptr) return;
        Node* node = head_.exchange(nullptr, std::memory_order_acquire);
        Node* oldest = nullptr;
        while (node != nullptr) {
            Node* next = std::exchange(node->next, oldest);
            oldest = std::exchange(node, next);
        }
        while (oldest != nullptr) {
            const std::unique_ptr<Node> owner(oldest);
            oldest = owner->next;
            take(std::move(owner->message));
        }
    }

    bool is_empty() const noexcept { return head_.load(std::memory_order_acquire) == nullptr; }
    // Blocks the reader until a push() or wake() since the last wait(), at most `ms` (-1: for ever).
    void wait(int ms) noexcept {
        is_waiting_.store(true, std::memory_order_seq_cst);
        if (head_.load(std::memory_order_seq_cst) == nullptr &&
            !is_woken_.exchange(false, std::memory_order_seq_cst)) {
            pollfd ready{event_.get(), POLLIN, 0};
            (void)poll(&ready, 1, ms);
        }
        is_waiting_.store(false, std::memory_order_seq_cst);
        is_woken_.store(false, std::memory_order_seq_cst);
        uint64_t count = 0;
        (void)!read(event_.get(), &count, sizeof count);
    }
    void wake() noexcept {
        is_woken_.store(true, std::memory_order_seq_cst);
        ring();
    }

private:
    struct Node {
        T message;
        Node* next;
    };
    static void free_all(Node* node) {
        while (node != nullptr)
            delete std::exchange(node, node->next);
    }

    // A system call only when the reader sleeps.
    void ring() noexcept {
        if (!is_waiting_.load(std::memory_order_seq_cst)) return;
        const uint64_t one = 1;
        (void)!write(event_.get(), &one, sizeof one);
    }

    struct Event {
        Event() : fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
        ~Event() {
            if (fd >= 0) close(fd);
        }
        Event(const Event&) = delete;
        Event& operator=(const Event&) = delete;
        int get() const noexcept { return fd; }
        int fd;
    };

    std::atomic<Node*> head_{nullptr};
    std::atomic<bool> is_waiting_{false}, is_woken_{false};
    Event event_;
};

}  // namespace tenon::engine
