// Reads one answer of an OpenAI-compatible server, event by event, and notes when its text came.
#pragma once

#include "core/base/result.h"
#include "core/cli/load_record.h"
#include "core/net/http.h"
#include "core/net/sse_reader.h"

#include <chrono>
#include <string>
#include <string_view>

namespace tenon::cli {

// Calls come in this order: head, bytes..., end. One thread at a time.
class LoadStream {
public:
    using Clock = std::chrono::steady_clock;

    // `due`: when the request was to be sent.
    LoadStream(LoadRecord& record, Clock::time_point due) : record_(record), due_(due) {}

    void head(int status, const net::Headers& headers);
    void bytes(std::string_view bytes, Clock::time_point now);
    void end(const Status& status, Clock::time_point now);

private:
    void read(std::string_view data, Clock::time_point now);
    void fail(std::string kind, std::string message);
    double since_due(Clock::time_point now) const {
        return std::chrono::duration<double, std::milli>(now - due_).count();
    }

    LoadRecord& record_;
    Clock::time_point due_;
    net::SseReader events_;
    int status_ = 0;
    bool is_stream_ = false, is_done_ = false;
    std::string refusal_;  // start of a body that is no stream
    double last_ms_ = 0;   // of the last piece of text
    uint32_t pieces_ = 0;
};

}  // namespace tenon::cli
