// The gemma3 architecture: scaled embeddings, norms before and after both halves of a layer, and
// layers that see a window and rotate by a base of their own between layers that see everything.
// GGUF stores the gains with their 1 already added.
#include "core/model/transformer.h"

#include <cmath>

namespace tenon::model {

Result<std::unique_ptr<Model>> load_gemma3(const formats::GgufFile& file);

namespace {

// Gemma 3 27B scales scores by hidden / heads instead of the heads' width, and GGUF has no key that
// says so: its number of layers does.
constexpr uint32_t kLayersOf27B = 62;

Status take_windows(const Metadata& metadata, TransformerDesign& design) {
    TENON_TRY(const uint32_t window, metadata.count_or_none("attention.sliding_window", 1u << 24));
    if (window == 0) return {};
    TENON_TRY(const std::vector<bool> local,
              metadata.layers("attention.sliding_window_pattern", design.config.layers, 6));
    TENON_TRY(const float base, metadata.positive_or("rope.freq_base_swa", 10000.0f));
    Rope rope;
    rope.name = "rope_inv_freq_local";
    rope.dims = design.ropes[0].dims;
    TENON_TRY(rope.inv_freq, inverse_frequencies(base, rope.dims, 1, {}, ""));
    design.ropes.push_back(std::move(rope));
    for (uint32_t i = 0; i < design.config.layers; ++i) {
        if (local[i]) design.layers[i] = {.window = window, .rope = 1};
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Model>> load_gemma3(const formats::GgufFile& file) {
    const Metadata metadata(file, "gemma3");
    TENON_TRY(TransformerDesign design, read_design(metadata));
    const ModelConfig& c = design.config;
    design.activation = TENON_ACT_GELU_TANH;
    design.qk_norm = true;
    design.post_norms = true;
    design.embedding_scale = std::sqrt(static_cast<float>(c.hidden_size));
    if (c.layers == kLayersOf27B) {
        design.attention_scale = 1.0f / std::sqrt(static_cast<float>(c.hidden_size / c.q_heads));
    }
    TENON_TRY(design.attention_scale,
              metadata.positive_or("attention.scale", design.attention_scale));
    TENON_TRY(design.logit_softcap, metadata.positive_or_none("final_logit_softcapping", 0));
    TENON_CHECK(take_windows(metadata, design));
    return make_transformer(metadata, std::move(design));
}

}  // namespace tenon::model
