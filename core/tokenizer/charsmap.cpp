#include "core/tokenizer/charsmap.h"

#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace tenon::tokenizer {
namespace {

// A unit of the double array: bit 31 marks a value (the rest is its number), else bits 0-7 hold the
// byte that leads here, bit 8 says that a value hangs below, bits 10-30 the offset to the children,
// in steps of 256 when bit 9 is set.
constexpr uint32_t kIsValue = 1u << 31;
constexpr uint32_t kHasValue = 1u << 8;

uint32_t offset_of(uint32_t unit) noexcept { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

Error refuse(std::string message) {
    return {Code::kInvalid, "the tokenizer's normaliser " + std::move(message)};
}

}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view blob) {
    Charsmap map;
    if (blob.empty()) return map;
    uint32_t table_bytes = 0;
    if (blob.size() < sizeof table_bytes) {
        return refuse(fmt::format("has {} bytes; at least 4 are needed", blob.size()));
    }
    for (size_t i = 0; i < sizeof table_bytes; ++i)
        table_bytes |= static_cast<uint32_t>(static_cast<uint8_t>(blob[i])) << (8 * i);
    blob.remove_prefix(sizeof table_bytes);
    if (table_bytes % 4 != 0 || table_bytes >= blob.size()) {
        return refuse(
            fmt::format("says that its table has {} bytes; a multiple of 4 under {} is wanted",
                        table_bytes, blob.size()));
    }
    map.replacements_ = blob.substr(table_bytes);
    if (map.replacements_.back() != '\0') return refuse("ends within a replacement");
    map.units_.reserve(table_bytes / 4);
    for (size_t at = 0; at < table_bytes; at += 4) {
        uint32_t unit = 0;
        for (size_t i = 0; i < 4; ++i)
            unit |= static_cast<uint32_t>(static_cast<uint8_t>(blob[at + i])) << (8 * i);
        map.units_.push_back(unit);
        if ((unit & kIsValue) == 0) continue;
        const size_t value = unit & ~kIsValue;
        if (value >= map.replacements_.size()) {
            return refuse(fmt::format("names the replacement at byte {}; they have {} bytes", value,
                                      map.replacements_.size()));
        }
        const size_t bytes = map.replacements_.find('\0', value) - value;
        if (bytes > kReplacementBytesMax) {
            return refuse(fmt::format("has a replacement of {} bytes; the limit is {}", bytes,
                                      kReplacementBytesMax));
        }
    }
    return map;
}

Charsmap::Match Charsmap::find(std::string_view text, size_t at) const noexcept {
    Match match;
    if (units_.empty()) return match;
    size_t node = offset_of(units_[0]);
    for (size_t n = 0; n < kKeyBytesMax && at + n < text.size(); ++n) {
        const auto byte = static_cast<uint8_t>(text[at + n]);
        if (byte == 0) break;
        node ^= byte;
        if (node >= units_.size()) break;
        const uint32_t unit = units_[node];
        if ((unit & (kIsValue | 0xFF)) != byte) break;
        node ^= offset_of(unit);
        if ((unit & kHasValue) == 0) continue;
        if (node >= units_.size() || (units_[node] & kIsValue) == 0) break;
        const char* replacement = replacements_.data() + (units_[node] & ~kIsValue);
        match = {n + 1, {replacement, std::strlen(replacement)}};
    }
    return match;
}

}  // namespace tenon::tokenizer
