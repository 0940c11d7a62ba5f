#include "core/tokenizer/token_table.h"

#include <bit>
#include <cstring>

#include <fmt/format.h>

namespace tenon::tokenizer {
namespace {

// Longer runs of full slots do not happen by chance at half load: the file was made to be slow.
constexpr uint32_t kProbesMax = 1000;

uint64_t mix(uint64_t a, uint64_t b) noexcept {
    uint64_t h = (a ^ b) * 0x9E3779B97F4A7C15ull;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93ull;
    return h ^ (h >> 29);
}

uint64_t hash_of(std::string_view text) noexcept {
    uint64_t h = text.size();
    size_t i = 0;
    for (; i + 8 <= text.size(); i += 8) {
        uint64_t word;
        std::memcpy(&word, text.data() + i, 8);
        h = mix(h, word);
    }
    uint64_t rest = 0;
    if (i < text.size()) std::memcpy(&rest, text.data() + i, text.size() - i);
    return mix(h, rest);
}

}  // namespace

Result<TokenTable> TokenTable::build(std::span<const std::string_view> texts) {
    TokenTable table;
    size_t total = 0;
    for (std::string_view text : texts)
        total += text.size();
    table.bytes_.reserve(total);
    table.ends_.reserve(texts.size());
    table.slots_.resize(std::bit_ceil(texts.size() * 2 + 2));
    const size_t mask = table.slots_.size() - 1;
    for (std::string_view text : texts) {
        const int32_t id = table.size();
        table.bytes_.append(text);
        table.ends_.push_back(static_cast<uint32_t>(table.bytes_.size()));
        if (text.empty()) continue;
        const uint64_t hash = hash_of(text);
        const auto tag = static_cast<uint32_t>(hash >> 32);
        size_t at = hash & mask;
        uint32_t probes = 0;
        for (; table.slots_[at].id >= 0; at = (at + 1) & mask) {
            const Slot& slot = table.slots_[at];
            if (slot.tag == tag && table.text(slot.id) == text) {
                return Error{Code::kInvalid,
                             fmt::format("tokens {} and {} are both '{}'; every token "
                                         "of a vocabulary needs its own text",
                                         slot.id, id, text.substr(0, 64))};
            }
            if (++probes > kProbesMax) {
                return Error{Code::kInvalid,
                             fmt::format("token {} is the last of over {} texts made "
                                         "to collide in the token table",
                                         id, kProbesMax)};
            }
        }
        table.slots_[at] = {id, tag};
    }
    return table;
}

std::string_view TokenTable::text(int32_t id) const noexcept {
    const auto i = static_cast<size_t>(id);
    const uint32_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
}

int32_t TokenTable::find(std::string_view text) const noexcept {
    if (text.empty() || slots_.empty()) return -1;
    const size_t mask = slots_.size() - 1;
    const uint64_t hash = hash_of(text);
    const auto tag = static_cast<uint32_t>(hash >> 32);
    for (size_t at = hash & mask; slots_[at].id >= 0; at = (at + 1) & mask) {
        if (slots_[at].tag == tag && this->text(slots_[at].id) == text) return slots_[at].id;
    }
    return -1;
}

}  // namespace tenon::tokenizer
