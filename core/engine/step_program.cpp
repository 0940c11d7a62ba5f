#include "core/engine/step_program.h"

#include "core/formats/format_list.h"
#include "core/formats/gguf.h"

#include <algorithm>

namespace tenon::engine {

RunnerOptions normalised(RunnerOptions options) {
    options.step_tokens_max = std::max(options.step_tokens_max, options.sequences_max);
    options.logit_rows_max = std::max(options.logit_rows_max, options.sequences_max);
    return options;
}

model::StepShape shape_of(const RunnerOptions& options) {
    model::StepShape shape;
    shape.tokens_max = options.step_tokens_max;
    shape.sequences_max = options.sequences_max;
    shape.logits_max = options.logit_rows_max;
    shape.blocks_per_sequence = blocks_of(options.context_length);
    shape.context = options.context_length;
    shape.end = options.end;
    return shape;
}

uint64_t slot_bytes(uint32_t slot, const RunnerOptions& options, const model::ModelConfig& config) {
    const uint64_t tokens = options.step_tokens_max, sequences = options.sequences_max,
                   rows = options.logit_rows_max;
    switch (slot) {
        case model::kTokenIds:
        case model::kPositions:
        case model::kKvSlot: return tokens * 4;
        case model::kBlockTable:
            return sequences * static_cast<uint64_t>(blocks_of(options.context_length)) * 4;
        case model::kKvLen: return sequences * 4;
        case model::kQStart: return (sequences + 1) * 4;
        case model::kLogitRows: return rows * 4;
        case model::kLogits:
            return options.end == model::StepShape::End::kSample ? 0 : rows * config.vocab_size * 4;
        case model::kEmbedding: return options.embeddings ? sequences * config.hidden_size * 4 : 0;
        case model::kSeed: return options.draws() ? rows * 8 : 0;
        default: return options.draws() ? rows * 4 : 0;
    }
}

bool is_output(uint32_t slot) {
    return slot == model::kLogits || slot == model::kSampled || slot == model::kEmbedding;
}

tenon_weight weight_of(const model::WeightSpec& spec, bool measured) {
    tenon_weight weight{};
    weight.uses = spec.uses;
    weight.name = {spec.name.data(), spec.name.size()};
    weight.rows = spec.rows;
    weight.cols = spec.cols;
    weight.fuse_group = spec.fuse_group;
    weight.n_planes = 1;
    if (spec.stored != nullptr) {
        weight.format = &spec.stored->format->format;
        const std::span<const std::byte> bytes = spec.stored_bytes();
        weight.planes[0] = bytes.data();
        weight.plane_bytes[0] = bytes.size();
    } else {
        weight.format = &formats::find_format("f32")->format;
        weight.planes[0] = spec.computed.data();
        weight.plane_bytes[0] = spec.computed.size() * sizeof(float);
    }
    if (measured) weight.planes[0] = nullptr;
    return weight;
}

tenon_kv_desc kv_desc_of(const model::ModelConfig& config, tenon_dtype dtype, uint32_t blocks) {
    tenon_kv_desc desc{};
    desc.n_layers = config.layers;
    desc.n_kv_heads = config.kv_heads;
    desc.dim_k = config.dim_k;
    desc.dim_v = config.dim_v;
    desc.block_tokens = kBlockTokens;
    desc.dtype = dtype;
    desc.n_blocks = blocks;
    return desc;
}

}  // namespace tenon::engine
