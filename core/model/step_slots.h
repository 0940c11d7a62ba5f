// Bound buffers of a model's step-program, in the order of tenon_bind. Whatever varies from step to
// step is in one of them. T tokens, S sequences, L logit rows; their sum over a step is flat.
#pragma once

#include <cstdint>

namespace tenon::model {

enum StepSlot : uint32_t {
    kTokenIds,        // i32[T]
    kPositions,       // i32[T] position of each token in its sequence
    kKvSlot,          // i32[T] place of each token in the KV pool
    kBlockTable,      // i32[S, blocks per sequence]
    kKvLen,           // i32[S] positions of each sequence once this step is written
    kQStart,          // i32[S + 1] first token of each sequence
    kLogitRows,       // i32[L] tokens whose logits are wanted
    kLogits,          // f32[L, vocab] out, when the program ends in logits (and a token)
    kTemperature,     // f32[L]
    kTopK,            // i32[L]
    kTopP,            // f32[L]
    kMinP,            // f32[L]
    kSeed,            // u64[L]
    kSamplePosition,  // i32[L] position of the token to be drawn
    kSampled,         // i32[L] out, when the program ends in a token
    kEmbedding,  // f32[S, hidden] out, when it ends in embeddings: pooled over this step's tokens
    kStepSlotCount,
};

}  // namespace tenon::model
