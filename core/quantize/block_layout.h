// Where the codes of a block lie, as a writer needs it: the exact inverse of
// tenon::reference::load_code, load_scale_code and load_min's codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <tenon/abi.h>

#include "core/base/result.h"

namespace tenon::quantize {

// One array of codes in a block: the elements', the scales' or the mins'. Immutable.
class CodeArray {
public:
    uint32_t count() const noexcept { return static_cast<uint32_t>(starts_.size()) - 1; }
    // Every value that the digits of a code can say, ascending, as stored (not sign-extended).
    std::span<const uint32_t> values() const noexcept { return values_; }

private:
    friend class BlockLayout;
    struct Digit {
        uint32_t byte;
        uint8_t place;   // bit of the code where the digit starts
        uint8_t mask;    // of the digit, shifted down
        uint8_t shift;   // radix 2: bit of the byte
        uint8_t weight;  // radix 3: what one counts in the byte's number; 0 means radix 2
    };
    std::vector<Digit> digits_;  // of code 0, of code 1, ...
    std::vector<uint32_t> starts_;
    std::vector<uint32_t> values_;
};

// The places of all numbers of a block. Immutable; any thread.
class BlockLayout {
public:
    // kUnsupported when reference::format_problem refuses the format, when two numbers of a block
    // share a bit or when codes of one array differ in what they can say. FLOAT has no layout.
    static Result<BlockLayout> create(const tenon_format& format);

    const CodeArray& codes() const noexcept { return codes_; }
    const CodeArray& scales() const noexcept { return scales_; }  // empty without scale_fields
    const CodeArray& mins() const noexcept { return mins_; }      // empty without min_fields

    // Writes into a block whose code bytes were zeroed; each array at most once. A code must be one
    // of array.values().
    void store(const CodeArray& array, const uint32_t* codes, std::byte* block) const noexcept;
    // Ends a block after its arrays were stored.
    void finish(std::byte* block) const noexcept;

private:
    Status add_fields(const tenon_bit_field* fields, uint32_t n, uint32_t count, CodeArray& out);
    void add_packed(const tenon_format& format);
    Status find_values(CodeArray& array) const;
    Status claim(const CodeArray& array, std::vector<uint8_t>& bits, std::vector<uint8_t>& trits);

    CodeArray codes_, scales_, mins_;
    std::vector<uint32_t> trit_bytes_;
};

}  // namespace tenon::quantize
