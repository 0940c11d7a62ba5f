// Server-sent events as text.
#pragma once

#include <string>
#include <string_view>

namespace tenon::server {

// `data` has no line end, as JSON of our writer never has.
inline void append_event(std::string& out, std::string_view data) {
    out.append("data: ").append(data).append("\n\n");
}

inline void append_event(std::string& out, std::string_view name, std::string_view data) {
    out.append("event: ").append(name).append("\n");
    append_event(out, data);
}

inline constexpr std::string_view kDoneEvent = "data: [DONE]\n\n";

}  // namespace tenon::server
