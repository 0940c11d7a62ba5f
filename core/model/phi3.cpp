// The phi3 architecture: fused tensors, partial rotation, LongRoPE, a window where the file has
// one. Phi-3, Phi-3.5, Phi-4.
#include "core/model/transformer.h"

namespace tenon::model {

Result<std::unique_ptr<Model>> load_phi3(const formats::GgufFile& file);

Result<std::unique_ptr<Model>> load_phi3(const formats::GgufFile& file) {
    const Metadata metadata(file, "phi3");
    TENON_TRY(TransformerDesign design, read_design(metadata));
    design.fused = true;
    TENON_TRY(const uint32_t window, metadata.count_or_none("attention.sliding_window", 1u << 24));
    for (LayerDesign& layer : design.layers)
        layer.window = window;
    return make_transformer(metadata, std::move(design));
}

}  // namespace tenon::model
