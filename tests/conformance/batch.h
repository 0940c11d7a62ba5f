// The inputs of a step that follow from which tokens of which sequences it holds.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/conformance/trial.h"

namespace tenon::conformance {

// Slots of the step inputs that attention needs; a program may number its others from kBatchSlots
// on.
enum BatchSlot : uint32_t { kPositions, kKvSlot, kBlockTable, kKvLen, kQStart, kBatchSlots };

// Sequences over a pool. Plain data.
struct Sequences {
    uint32_t block_tokens = 16;
    uint32_t table_width = 4;
    std::vector<std::vector<int32_t>> blocks;  // of each sequence, table_width each
    std::vector<int32_t> lengths;              // positions written so far

    // `count` sequences over the blocks 0 .. count * table_width - 1 in an order drawn from
    // `random`, or in their own order without one.
    static Sequences make(size_t count, uint32_t block_tokens, uint32_t table_width,
                          Random* random);
};

// `counts[s]` new tokens for each sequence; 0 leaves it out of the step. Fills the batch slots of
// `step` and moves the lengths on.
void fill_batch(Sequences& sequences, const std::vector<int32_t>& counts, Step& step);

// The values of a program for the batch slots, under the symbols T (tokens) and S (sequences).
struct BatchValues {
    ops::Dim tokens;
    uint32_t sequences;
    ops::ValueId positions, kv_slot, block_table, kv_len, q_start, kv;
};
BatchValues add_batch(ops::ProgramBuilder& builder, int64_t tokens_max, int64_t sequences_max,
                      uint32_t table_width);

}  // namespace tenon::conformance
