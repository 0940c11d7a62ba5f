// Headers that a download in parts reads.
#pragma once

#include "core/net/http.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::hub {

struct ContentRange {
    uint64_t begin = 0, end = 0, size = 0;  // [begin, end)
};

// "bytes 0-99/1000" (RFC 9110, 14.4), and "bytes */1000", which gives 0, 0, 1000. Nothing for an
// unknown size, another unit, or a range that contradicts itself.
std::optional<ContentRange> content_range(const net::Headers& headers);

// An ETag that stands for the exact bytes, with its quotes; empty when there is none.
std::string strong_etag(const net::Headers& headers);
// Less its quotes and the mark of a weak one.
std::string without_quotes(std::string_view etag);

// Of a Retry-After header in seconds; nothing when there is none or it is a date.
std::optional<std::chrono::milliseconds> retry_after(const net::Headers& headers);

// Digits only.
std::optional<uint64_t> whole_number(std::string_view text);

}  // namespace tenon::hub
