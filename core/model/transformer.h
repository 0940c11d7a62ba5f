// What decoder-only transformers share: an architecture's file reads its metadata into a design,
// and the model made from it names the weights and writes the step-program.
#pragma once

#include "core/model/metadata.h"
#include "core/model/model.h"
#include "core/model/rope.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace tenon::model {

struct LayerDesign {
    uint32_t window = 0;  // positions that a token sees, its own included; 0: all
    uint32_t rope = 0;    // index into ropes
};

// A pre-norm transformer with grouped-query attention and a gated feed-forward.
struct TransformerDesign {
    ModelConfig config;
    uint32_t ffn_size = 0;
    float norm_epsilon = 0;
    float embedding_scale = 1;
    float attention_scale = 0;
    float logit_softcap = 0;  // 0: none
    tenon_activation activation = TENON_ACT_SILU;
    tenon_rope_style rope_style = TENON_ROPE_HALVES;
    bool qkv_bias = false;    // must be stored; without it, biases are read where they are stored
    bool qk_norm = false;     // each head of q and k is normed before its rotation
    bool post_norms = false;  // attention and feed-forward are normed before they are added
    bool fused = false;       // q, k and v are rows of attn_qkv; gate and up are rows of ffn_up
    std::vector<Rope> ropes;
    std::vector<LayerDesign> layers;
};

// The sizes and the rotation that the file gives, each layer seeing all positions; what the
// architecture alone knows is left as above.
Result<TransformerDesign> read_design(const Metadata& metadata);

// kData names the tensor that is missing or has the wrong shape; kUnsupported one of the layers'
// that such a model does not read.
Result<std::unique_ptr<Model>> make_transformer(const Metadata& metadata, TransformerDesign design);

}  // namespace tenon::model
