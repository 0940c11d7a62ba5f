// The normaliser that SentencePiece models carry: a table of byte sequences and what replaces them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace tenon::tokenizer {

// The bytes come from a model file: nothing in them can read outside of them, turn one byte of text
// into more than kReplacementBytesMax, or take more than kKeyBytesMax steps at one place.
// Immutable: any thread may read.
class Charsmap {
public:
    static constexpr size_t kReplacementBytesMax = 64;  // the longest of NFKC has 33
    static constexpr size_t kKeyBytesMax = 64;

    // Layout, little endian: u32 bytes of the table, the table (u32 units of a double array whose
    // children are found by exclusive or), then the replacements, each ended by a zero byte. An empty
    // blob is a table without entries.
    static Result<Charsmap> parse(std::string_view blob);

    struct Match {
        size_t length = 0;  // bytes of the text; 0: nothing to replace
        std::string_view replacement;
    };
    // The longest sequence at `at` that has a replacement.
    Match find(std::string_view text, size_t at) const noexcept;

private:
    std::vector<uint32_t> units_;
    std::string replacements_;
};

}  // namespace tenon::tokenizer
