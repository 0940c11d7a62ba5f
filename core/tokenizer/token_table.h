// The texts of a vocabulary, by id and by text. Copies all of them into one block of memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace tenon::tokenizer {

// Immutable after build: any thread may read.
class TokenTable {
public:
    // Refuses two equal texts, except empty ones: those are never found by text. The caller has
    // checked the limits of vocabulary.h.
    static Result<TokenTable> build(std::span<const std::string_view> texts);

    int32_t size() const noexcept { return static_cast<int32_t>(ends_.size()); }
    // `id` must be in [0, size()).
    std::string_view text(int32_t id) const noexcept;
    // -1: no token has this text.
    int32_t find(std::string_view text) const noexcept;

private:
    struct Slot {
        int32_t id = -1;   // -1: empty
        uint32_t tag = 0;  // upper half of the hash: spares most comparisons
    };

    std::string bytes_;           // the texts, one after the other
    std::vector<uint32_t> ends_;  // where each ends
    std::vector<Slot> slots_;     // open addressing, a power of two, at most half full
};

}  // namespace tenon::tokenizer
