#include "core/net/sse.h"

#include <algorithm>

namespace tenon::net {
namespace {

// CR LF, CR and LF all end a line of an event stream.
std::string_view take_line(std::string_view& text) {
    const size_t end = std::min(text.find_first_of("\r\n"), text.size());
    const std::string_view line = text.substr(0, end);
    const bool is_pair = text.substr(end, 2) == "\r\n";
    text.remove_prefix(std::min(text.size(), end + (is_pair ? 2 : 1)));
    return line;
}

}  // namespace

void append_event(std::string& out, std::string_view name, std::string_view data) {
    if (!name.empty()) out.append("event: ").append(take_line(name)).append("\n");
    bool ends_in_break = data.empty();
    while (!data.empty() || ends_in_break) {
        ends_in_break = !data.empty() && (data.back() == '\n' || data.back() == '\r');
        out.append("data: ").append(take_line(data)).append("\n");
        ends_in_break = ends_in_break && data.empty();
    }
    out.append("\n");
}

void append_comment(std::string& out, std::string_view text) {
    out.append(": ").append(take_line(text)).append("\n\n");
}

}  // namespace tenon::net
