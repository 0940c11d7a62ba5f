// The two long loops of SAMPLE over a row of logits. Its meaning, and the names used here, are those
// of <tenon/reference/sample.h> and noise.h. Never allocates.
#pragma once

#include <stdint.h>

#include "kernels/include/tenon/kernels/isa.h"

namespace tenon::kernels {

struct DrawArgs {
    const float* logits;
    uint32_t count;
    float best;         // largest logit that may be drawn
    float temperature;  // at least 1e-6
    float lowest;       // logits below it may not be drawn; -infinity: all may
    uint64_t seed;
    int32_t position;
};

// weights[i] = candidate_weight_q30((logit - best) / temperature), bit for bit; 0 below `lowest` and
// above `best`. Returns the sum.
using WeighFn = uint64_t (*)(const DrawArgs& args, uint32_t* weights);

// Tokens of [begin, end) whose score may reach `highest`, in order, into ids (room for end - begin);
// how many. Never leaves out one that does; may name some that do not. begin: a multiple of 64;
// highest: at least -4, as the score of the best logit is.
using ContendFn = uint32_t (*)(const DrawArgs& args, uint32_t begin, uint32_t end, float highest,
                               uint32_t* ids);

struct DrawEntry {
    Isa isa;
    bool deterministic;
    WeighFn weigh;
    ContendFn contend;
};
const DrawEntry* draw_entries(uint32_t* count) noexcept;
const DrawEntry* find_draw(Isa isa) noexcept;  // never null

}  // namespace tenon::kernels
