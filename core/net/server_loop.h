// One I/O thread: everything of a connection happens on the loop that owns it, so connections need
// no locks. Internal to the server; includes Asio.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tenon::net {

class Connection;

class Loop {
public:
    Loop();
    ~Loop() { stop(); }

    boost::asio::io_context& context() noexcept { return context_; }
    bool is_this_thread() const noexcept { return std::this_thread::get_id() == thread_.get_id(); }

    // Runs `job` on the loop's thread, later. From any thread. False, and nothing happens, after
    // stop().
    template <class Job>
    bool post(Job job) {
        const std::lock_guard lock(mutex_);
        if (stopped_) return false;
        boost::asio::post(context_, std::move(job));
        return true;
    }
    // Runs `job` on the loop's thread and waits for it; not from that thread.
    void run_and_wait(const std::function<void()>& job);
    // Ends the thread after what was posted before.
    void stop();

    // Loop thread only.
    void add(std::shared_ptr<Connection> connection);
    void remove(const Connection* connection);
    std::vector<std::shared_ptr<Connection>> connections() const;
    // Where any connection of this loop reads into; its content is of no use afterwards.
    std::pair<char*, size_t> read_buffer() noexcept { return {buffer_.get(), kReadBytes}; }

private:
    static constexpr size_t kReadBytes = 32 << 10;

    boost::asio::io_context context_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    std::unique_ptr<char[]> buffer_;
    std::unordered_map<const Connection*, std::shared_ptr<Connection>> connections_;
    std::mutex mutex_;
    bool stopped_ = false;
    std::thread thread_;
};

}  // namespace tenon::net
