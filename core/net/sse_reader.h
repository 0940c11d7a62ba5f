// Reads server-sent events (WHATWG HTML, 9.2) from bytes that come in pieces of any size. No I/O.
//
// The raw texts of the events, put together, are the bytes that came in: a relay may pass them on.
#pragma once

#include "core/base/result.h"

#include <functional>
#include <string>
#include <string_view>

namespace tenon::net {

// Views are valid during the callback.
struct SseEvent {
    std::string_view raw;   // with the blank line that ended it
    std::string_view type;  // of "event:"; empty: message
    std::string_view data;  // "data:" lines joined by LF, bytes as sent
    std::string_view id;    // of "id:" in this event
    bool has_data = false;  // false: nothing but comments and fields
};

// Lines end in CR, LF or CRLF; one byte order mark at the start is skipped.
class SseReader {
public:
    // An event of more raw bytes than `event_bytes` is an error.
    explicit SseReader(size_t event_bytes = 1 << 20) : event_bytes_(event_bytes) {}

    // Calls `on_event` for every event that is complete. kData: an event is too large; then nothing
    // more is read.
    Status feed(std::string_view bytes, const std::function<void(const SseEvent&)>& on_event);
    // The stream ended: gives an event that only waited for an LF after its last CR. kData when it
    // ended inside an event.
    Status finish(const std::function<void(const SseEvent&)>& on_event);
    // Bytes that are not yet part of a complete event.
    std::string_view rest() const noexcept { return raw_; }

private:
    void end_line();
    void dispatch(const std::function<void(const SseEvent&)>& on_event);

    size_t event_bytes_;
    std::string raw_;     // of the event that is being read
    size_t line_ = 0;     // where its current line starts
    bool cr_ = false;     // the last byte was a CR: an LF would belong to it
    bool blank_ = false;  // the line that ended was blank
    bool at_start_ = true, failed_ = false;
    std::string type_, data_, id_;
    bool has_data_ = false;
};

}  // namespace tenon::net
