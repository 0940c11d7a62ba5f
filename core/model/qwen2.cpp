// The qwen2 architecture: biases of q, k and v. Qwen2, Qwen2.5, DeepSeek-R1-Distill-Qwen.
#include "core/model/transformer.h"

namespace tenon::model {

Result<std::unique_ptr<Model>> load_qwen2(const formats::GgufFile& file);

Result<std::unique_ptr<Model>> load_qwen2(const formats::GgufFile& file) {
    const Metadata metadata(file, "qwen2");
    TENON_TRY(TransformerDesign design, read_design(metadata));
    design.qkv_bias = true;
    return make_transformer(metadata, std::move(design));
}

}  // namespace tenon::model
