// One engine process and what goes to and comes from it: messages, lines of its standard error, its
// end. The front's side; one thread.
#pragma once

#include "core/engine/child_process.h"
#include "core/engine/progress_page.h"
#include "core/engine/protocol.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tenon::engine {

class EngineChannel {
public:
    // What one wait() brought, in the order in which it came.
    struct Arrivals {
        std::vector<protocol::Message> messages;
        std::vector<std::string> lines;  // at most 8 KiB each
        // The process is no engine any more. Why, where it sent garbage; else empty: its exit
        // status tells.
        std::optional<std::string> end;
    };

    // Starts argv with a fresh page in place of the process before, which must be closed.
    Result<ProgressPage> open(const std::vector<std::string>& argv, bool captures_errors);

    // Queues a message; wait() sends it. kInvalid: it is too long to be one.
    Status say(const protocol::Message& message) { return protocol::encode(message, unsent_); }
    size_t unsent_bytes() const noexcept { return unsent_.size(); }

    // Sends what is queued and waits `ms` for an arrival or for `wake`, an eventfd that it empties.
    // No end is told twice.
    void wait(int wake, int ms, Arrivals& out);

    // False before open() and after close().
    bool is_open() const noexcept { return child_.socket() >= 0; }
    // Kills the process unless it ends by itself within `ms`; its exit status where it did. Reads
    // the lines that it left.
    std::optional<int> close(int ms, std::vector<std::string>& lines);
    // Asks it to shut down, kills it after `ms`.
    void shut_down(int ms, std::vector<std::string>& lines);
    // A closed process keeps memory and device until it is gone.
    bool is_gone() const noexcept { return !child_; }

private:
    void read_messages(Arrivals& out);
    void read_lines(std::vector<std::string>& out);
    void write();

    ChildProcess child_;
    protocol::Decoder decoder_{protocol::Sender::kEngine};
    std::string unsent_, line_;
    std::vector<char> chunk_ = std::vector<char>(256u << 10);
};

}  // namespace tenon::engine
