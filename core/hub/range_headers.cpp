#include "core/hub/range_headers.h"

#include <algorithm>
#include <charconv>

namespace tenon::hub {

std::optional<uint64_t> whole_number(std::string_view text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

std::optional<ContentRange> content_range(const net::Headers& headers) {
    const std::string* const header = headers.find("Content-Range");
    if (header == nullptr || !header->starts_with("bytes ")) return std::nullopt;
    const std::string_view text = std::string_view(*header).substr(6);
    const size_t slash = text.find('/'), dash = text.find('-');
    if (slash == std::string_view::npos) return std::nullopt;
    const std::optional<uint64_t> size = whole_number(text.substr(slash + 1));
    if (!size) return std::nullopt;
    if (text.substr(0, slash) == "*") return ContentRange{0, 0, *size};
    if (dash > slash) return std::nullopt;
    const auto first = whole_number(text.substr(0, dash));
    const auto last = whole_number(text.substr(dash + 1, slash - dash - 1));
    if (!first || !last || *first > *last || *last >= *size) return std::nullopt;
    return ContentRange{*first, *last + 1, *size};
}

std::string strong_etag(const net::Headers& headers) {
    const std::string* const etag = headers.find("ETag");
    return etag == nullptr || etag->starts_with("W/") || etag->size() > 256 ? "" : *etag;
}

std::string without_quotes(std::string_view etag) {
    if (etag.starts_with("W/")) etag.remove_prefix(2);
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
        etag = etag.substr(1, etag.size() - 2);
    }
    return std::string(etag);
}

std::optional<std::chrono::milliseconds> retry_after(const net::Headers& headers) {
    const std::string* const header = headers.find("Retry-After");
    const std::optional<uint64_t> seconds =
        header != nullptr ? whole_number(*header) : std::nullopt;
    if (!seconds) return std::nullopt;
    return std::chrono::milliseconds(std::min<uint64_t>(*seconds, 1'000'000) * 1000);
}

}  // namespace tenon::hub
