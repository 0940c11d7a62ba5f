// The weight set of a transformer: which tensors it reads, as what.
#pragma once

#include "core/model/transformer.h"

namespace tenon::model {

// Entries of the weight set that one layer reads; TENON_NONE where it reads none.
struct LayerEntries {
    uint32_t attn_norm = TENON_NONE, q = TENON_NONE, k = TENON_NONE, v = TENON_NONE,
             out = TENON_NONE;
    uint32_t q_bias = TENON_NONE, k_bias = TENON_NONE, v_bias = TENON_NONE, out_bias = TENON_NONE;
    uint32_t q_norm = TENON_NONE, k_norm = TENON_NONE, attn_post_norm = TENON_NONE;
    uint32_t ffn_norm = TENON_NONE, gate = TENON_NONE, up = TENON_NONE, down = TENON_NONE,
             ffn_post_norm = TENON_NONE;
};

// Tables of one rope: for contexts up to its original one, and above where they differ.
struct RopeEntries {
    uint32_t plain = TENON_NONE, stretched = TENON_NONE;
};

struct WeightEntries {
    uint32_t embedding = TENON_NONE, output_norm = TENON_NONE;
    uint32_t head = TENON_NONE, head_bias = TENON_NONE;  // head is embedding when they are tied
    std::vector<RopeEntries> ropes;
    std::vector<LayerEntries> layers;
};

struct TransformerWeights {
    std::vector<WeightSpec> specs;
    WeightEntries entries;
};

// Also sets design.config.vocab_size, which the embedding's rows give.
Result<TransformerWeights> find_weights(const Metadata& metadata, TransformerDesign& design);

}  // namespace tenon::model
