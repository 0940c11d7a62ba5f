// The bytes of an answer's head and of a piece of its body. Pure.
#pragma once

#include "core/net/http.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::net {

// How the body of an answer is delimited.
struct ResponseFraming {
    std::optional<uint64_t> content_length;
    bool is_chunked = false;
    bool keep_alive = true;
    bool is_http_1_0 = false;  // says "keep-alive" where 1.1 implies it
};

// Appends status line and headers. Content-Length, Transfer-Encoding, Date and Connection are ours;
// a header that would break the framing (a control character in name or value) is left out.
void append_head(std::string& out, int status, const Headers& headers,
                 const ResponseFraming& framing);
// Appends one chunk; nothing for no bytes, because an empty chunk would end the body.
void append_chunk(std::string& out, std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// 1xx, 204 and 304 have no body.
bool has_body(int status) noexcept;

}  // namespace tenon::net
