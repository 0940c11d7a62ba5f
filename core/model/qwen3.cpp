// The qwen3 architecture: each head of q and k is normed before its rotation.
#include "core/model/transformer.h"

namespace tenon::model {

Result<std::unique_ptr<Model>> load_qwen3(const formats::GgufFile& file);

Result<std::unique_ptr<Model>> load_qwen3(const formats::GgufFile& file) {
    const Metadata metadata(file, "qwen3");
    TENON_TRY(TransformerDesign design, read_design(metadata));
    design.qk_norm = true;
    return make_transformer(metadata, std::move(design));
}

}  // namespace tenon::model
