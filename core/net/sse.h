// Server-sent events as a server writes them. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace tenon::net {

// Appends one event: "event: NAME" unless `name` is empty, one "data:" line per line of `data`, and
// the empty line. A name holds no line break; one that does is cut there.
void append_event(std::string& out, std::string_view name, std::string_view data);
// Appends a comment, which clients skip: keeps proxies from closing a silent stream.
void append_comment(std::string& out, std::string_view text);

}  // namespace tenon::net
