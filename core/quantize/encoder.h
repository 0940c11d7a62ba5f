// Writes rows of floats in any described format: the inverse of tenon::reference::dequant_row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <tenon/abi.h>

#include "core/base/result.h"
#include "core/quantize/block_layout.h"
#include "core/quantize/group_fit.h"
#include "core/quantize/levels.h"
#include "core/quantize/rounding_rule.h"

namespace tenon::quantize {

// A number that a group may store for its scale or min, and what the decoder makes of it.
struct FactorChoice {
    float stored = 0;
    uint32_t code = 0;
    float value = 0;
};

// How the scales or the mins of a format are stored.
struct Factor {
    uint32_t dtype = 0, offset = 0;
    std::span<const uint32_t> values;  // of a code; empty: every group stores its own number
    bool is_signed = false;            // codes are two's complement of 8 bits
    int32_t zero = 0;                  // subtracted from a code
    float sign = 1;                    // of what the decoder makes of it
    int32_t lowest = 0, highest = 0;   // of code - zero, and 0

    Factor() = default;
    Factor(const tenon_format& format, const CodeArray& codes, bool of_scale);
    bool is_coded() const noexcept { return !values.empty(); }
    int32_t multiplier(uint32_t code) const noexcept;
    float decoded(float stored, uint32_t code) const noexcept;
    // The stored number of a block whose widest group wants `peak`.
    float super(float peak) const noexcept;
    // The choices nearest to `wanted`, the nearest first; at least one.
    size_t choices(float stored, float wanted, FactorChoice (&out)[3]) const noexcept;
};

// What a block stores beside its elements' codes, group by group.
struct BlockFactors {
    std::vector<float> stored_scales, stored_mins;  // the first alone where groups have codes
    std::vector<uint32_t> scale_codes, min_codes;
    std::vector<float> scales, mins;  // what the decoder makes of them

    void resize(uint32_t groups);
};

// One format, ready to be written. Immutable; any thread, each with a workspace of its own.
class Encoder {
public:
    // Scratch of one thread.
    struct Workspace {
        std::vector<float> weights, units;
        std::vector<GroupFit> fits;
        std::vector<uint32_t> codes;
        BlockFactors factors, other;
    };

    // `format` and what it points to must outlive the encoder. kUnsupported says why the format
    // cannot be written.
    static Result<Encoder> create(const tenon_format& format);

    Encoder(Encoder&&) = default;
    Encoder& operator=(Encoder&&) = default;
    Encoder(const Encoder&) = delete;
    Encoder& operator=(const Encoder&) = delete;

    const tenon_format& format() const noexcept { return *format_; }
    const BlockLayout& layout() const noexcept { return layout_; }
    uint64_t row_bytes(uint64_t cols) const noexcept {
        return cols / format_->block_elems * format_->block_bytes;
    }

    // x[0 .. cols), finite, to row_bytes(cols) bytes at `row`; `decoded` becomes what the reference
    // decoder makes of them, bit for bit. cols is a multiple of block_elems. kInvalid: a plain
    // float format cannot hold an element; the message names its column.
    Status encode_row(const float* x, uint64_t cols, std::byte* row, float* decoded,
                      Workspace& space) const;

private:
    Encoder() = default;
    Status encode_floats(const float* x, uint64_t cols, std::byte* row, float* decoded) const;
    void store_block(std::byte* block, const BlockFactors& factors, const uint32_t* codes) const;
    void round_block(const float* x, Workspace& space) const;
    void search_block(const float* x, Workspace& space) const;
    void weigh(const float* x, Workspace& space) const;
    // Picks every group's codes under the block's stored numbers; returns the weighted error.
    double settle(const float* x, const Workspace& space, BlockFactors& factors) const;
    // The stored numbers that suit the groups' codes best.
    void refit(const float* x, Workspace& space, BlockFactors& factors) const;
    void find_codes(const float* x, uint32_t group, Workspace& space) const;

    const tenon_format* format_ = nullptr;
    uint32_t groups_ = 0;
    BlockLayout layout_;
    std::vector<Levels> levels_;  // one; none for FLOAT
    const RoundingRule* rule_ = nullptr;
    bool has_min_ = false;
    Factor scale_, min_;  // views of layout_'s codes
    FitBounds bounds_;
};

}  // namespace tenon::quantize
