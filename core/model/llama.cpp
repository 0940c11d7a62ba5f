// The llama architecture: SmolLM2, Llama 2 and 3.x, Mistral, DeepSeek-R1-Distill-Llama.
#include "core/model/transformer.h"

namespace tenon::model {

Result<std::unique_ptr<Model>> load_llama(const formats::GgufFile& file);

Result<std::unique_ptr<Model>> load_llama(const formats::GgufFile& file) {
    const Metadata metadata(file, "llama");
    TENON_TRY(TransformerDesign design, read_design(metadata));
    design.rope_style = TENON_ROPE_INTERLEAVED;  // GGUF permutes q's and k's rows to this pairing
    TENON_TRY(const uint32_t window, metadata.count_or_none("attention.sliding_window", 1u << 24));
    for (LayerDesign& layer : design.layers)
        layer.window = window;
    return make_transformer(metadata, std::move(design));
}

}  // namespace tenon::model
