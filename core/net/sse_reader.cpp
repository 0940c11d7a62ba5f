#include "core/net/sse_reader.h"

#include <fmt/format.h>

namespace tenon::net {

Status SseReader::feed(std::string_view bytes,
                       const std::function<void(const SseEvent&)>& on_event) {
    while (!bytes.empty() && !failed_) {
        if (cr_) {
            cr_ = false;
            const bool is_pair = bytes.front() == '\n';
            if (is_pair) {
                raw_ += '\n';
                bytes.remove_prefix(1);
            }
            line_ = raw_.size();
            if (blank_) dispatch(on_event);
            continue;
        }
        const size_t end = bytes.find_first_of("\r\n");
        const size_t taken = end == std::string_view::npos ? bytes.size() : end + 1;
        if (raw_.size() + taken > event_bytes_) {
            failed_ = true;
            break;
        }
        raw_.append(bytes.substr(0, taken));
        bytes.remove_prefix(taken);
        if (end == std::string_view::npos) break;
        end_line();
        cr_ = raw_.back() == '\r';
        if (cr_) continue;
        line_ = raw_.size();
        if (blank_) dispatch(on_event);
    }
    if (!failed_) return {};
    return Error{Code::kData,
                 fmt::format("a server-sent event has more than {} bytes", event_bytes_)};
}

Status SseReader::finish(const std::function<void(const SseEvent&)>& on_event) {
    if (cr_ && blank_) dispatch(on_event);
    if (raw_.empty()) return {};
    return Error{Code::kData, fmt::format("the stream ended inside a server-sent event, {} bytes "
                                          "after the last whole one",
                                          raw_.size())};
}

// Reads the line that raw_ ends with, its CR or LF included.
void SseReader::end_line() {
    std::string_view line = std::string_view(raw_).substr(line_, raw_.size() - line_ - 1);
    if (at_start_ && line.substr(0, 3) == "\xef\xbb\xbf") line.remove_prefix(3);
    at_start_ = false;
    blank_ = line.empty();
    if (blank_ || line.front() == ':') return;
    const size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    std::string_view value =
        colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    if (name == "data") {
        if (has_data_) data_ += '\n';
        data_ += value;
        has_data_ = true;
    } else if (name == "event") {
        type_ = value;
    } else if (name == "id" && value.find('\0') == std::string_view::npos) {
        id_ = value;
    }
}

void SseReader::dispatch(const std::function<void(const SseEvent&)>& on_event) {
    on_event({raw_, type_, data_, id_, has_data_});
    raw_.clear();
    type_.clear();
    data_.clear();
    id_.clear();
    line_ = 0;
    has_data_ = cr_ = blank_ = false;
}

}  // namespace tenon::net
