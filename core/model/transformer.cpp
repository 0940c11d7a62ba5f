#include "core/model/transformer.h"

#include "core/model/step_slots.h"
#include "core/model/transformer_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tenon::model {
namespace {

using ops::Dim;
using ops::ProgramBuilder;
using ops::ValueId;

class Transformer final : public Model {
public:
    Transformer(TransformerDesign design, TransformerWeights weights)
        : design_(std::move(design)), entries_(std::move(weights.entries)) {
        config_ = design_.config;
        weights_ = std::move(weights.specs);
    }

    ops::Program build_step(const StepShape& shape) const override;

private:
    // One program being written.
    struct Build {
        ProgramBuilder b;
        uint32_t rows = 0;  // symbol of the logit rows
        ValueId positions, kv_slot, block_table, kv_len, q_start, kv;
        std::vector<ValueId> tables;  // of each rope
    };

    ValueId weight(Build& to, uint32_t entry) const;
    ValueId norm(Build& to, const std::string& name, ValueId x, uint32_t gain) const;
    ValueId attention(Build& to, uint32_t layer, ValueId x) const;
    ValueId feed_forward(Build& to, uint32_t layer, ValueId x) const;
    void end(Build& to, const StepShape& shape, ValueId x, ValueId embedding) const;

    TransformerDesign design_;
    WeightEntries entries_;
};

std::string part_name(uint32_t layer, const char* part) {
    return fmt::format("blk.{}.{}", layer, part);
}

// TENON_NONE gives no value.
ValueId Transformer::weight(Build& to, uint32_t entry) const {
    if (entry == TENON_NONE) return ops::kNoValue;
    const WeightSpec& spec = weights_[entry];
    if (spec.uses & TENON_USE_ELEMENTWISE) return to.b.weight(spec.name, entry, {spec.cols});
    return to.b.weight(spec.name, entry, {spec.rows, spec.cols});
}

ValueId Transformer::norm(Build& to, const std::string& name, ValueId x, uint32_t gain) const {
    return to.b.rms_norm(name, x, weight(to, gain), design_.norm_epsilon);
}

// x plus what its tokens see.
ValueId Transformer::attention(Build& to, uint32_t layer, ValueId x) const {
    ProgramBuilder& b = to.b;
    const LayerEntries& w = entries_.layers[layer];
    const LayerDesign& of = design_.layers[layer];
    const Rope& rotation = design_.ropes[of.rope];
    const auto name = [&](const char* part) { return part_name(layer, part); };
    const ValueId h = norm(to, name("attn_norm"), x, w.attn_norm);
    const ValueId q = b.matmul(name("attn_q"), h, weight(to, w.q), weight(to, w.q_bias));
    const ValueId k = b.matmul(name("attn_k"), h, weight(to, w.k), weight(to, w.k_bias));
    const ValueId v = b.matmul(name("attn_v"), h, weight(to, w.v), weight(to, w.v_bias));

    tenon_attr_rope_kv_write rope{};
    rope.size = sizeof rope;
    rope.n_q_heads = config_.q_heads;
    rope.n_kv_heads = config_.kv_heads;
    rope.dim_k = config_.dim_k;
    rope.dim_v = config_.dim_v;
    rope.rope_dim = rotation.dims;
    rope.style = design_.rope_style;
    rope.layer = layer;
    rope.mscale = rotation.mscale;
    rope.qk_norm_epsilon = design_.qk_norm ? design_.norm_epsilon : 0;
    const ValueId rotated = b.rope_kv_write(name("rope"),
                                            {q, k, v, to.positions, to.kv_slot, to.tables[of.rope],
                                             to.kv, weight(to, w.q_norm), weight(to, w.k_norm)},
                                            rope);

    tenon_attr_paged_attn attn{};
    attn.size = sizeof attn;
    attn.n_q_heads = config_.q_heads;
    attn.n_kv_heads = config_.kv_heads;
    attn.dim_k = config_.dim_k;
    attn.dim_v = config_.dim_v;
    attn.layer = layer;
    attn.window = static_cast<int32_t>(of.window);
    attn.scale = design_.attention_scale;
    const ValueId seen =
        b.paged_attn(name("attn"), rotated, to.kv, to.block_table, to.kv_len, to.q_start, attn);
    const ValueId out = weight(to, w.out);
    const ValueId bias = weight(to, w.out_bias);
    if (!design_.post_norms) return b.matmul(name("attn_output"), seen, out, bias, x);
    const ValueId plain = b.matmul(name("attn_output"), seen, out, bias);
    return b.add(name("attn_residual"), norm(to, name("attn_post_norm"), plain, w.attn_post_norm),
                 x);
}

// x plus its feed-forward.
ValueId Transformer::feed_forward(Build& to, uint32_t layer, ValueId x) const {
    ProgramBuilder& b = to.b;
    const LayerEntries& w = entries_.layers[layer];
    const auto name = [&](const char* part) { return part_name(layer, part); };
    const ValueId h = norm(to, name("ffn_norm"), x, w.ffn_norm);
    const ValueId g = b.matmul_glu(name("ffn_gate_up"), h, weight(to, w.gate), weight(to, w.up),
                                   design_.activation);
    const ValueId down = weight(to, w.down);
    if (!design_.post_norms) return b.matmul(name("ffn_down"), g, down, ops::kNoValue, x);
    const ValueId plain = b.matmul(name("ffn_down"), g, down);
    return b.add(name("ffn_residual"), norm(to, name("ffn_post_norm"), plain, w.ffn_post_norm), x);
}

// From the last layer to what the shape wants.
void Transformer::end(Build& to, const StepShape& shape, ValueId x, ValueId embedding) const {
    ProgramBuilder& b = to.b;
    if (shape.end == StepShape::End::kEmbedding) {
        const ValueId all = norm(to, "output_norm", x, entries_.output_norm);
        b.mark_output(b.pool_rows("pool", all, to.q_start, config_.pooling), kEmbedding);
        return;
    }
    const Dim rows = Dim::of(to.rows);
    const ValueId logit_rows = b.input("logit_rows", kLogitRows, TENON_I32, {rows});
    const ValueId last = b.gather_rows("logit_rows", x, logit_rows);
    const ValueId normed = norm(to, "output_norm", last, entries_.output_norm);
    const ValueId head =
        entries_.head == entries_.embedding ? embedding : weight(to, entries_.head);
    ValueId logits = b.matmul("logits", normed, head, weight(to, entries_.head_bias));
    if (design_.logit_softcap > 0)
        logits = b.softcap("logits_capped", logits, design_.logit_softcap);
    if (shape.end != StepShape::End::kSample) b.mark_output(logits, kLogits);
    if (shape.end == StepShape::End::kLogits) return;
    const ValueId token = b.sample(
        "sample", logits,
        {b.input("temperature", kTemperature, TENON_F32, {rows}),
         b.input("top_k", kTopK, TENON_I32, {rows}), b.input("top_p", kTopP, TENON_F32, {rows}),
         b.input("min_p", kMinP, TENON_F32, {rows}), b.input("seed", kSeed, TENON_U64, {rows}),
         b.input("sample_position", kSamplePosition, TENON_I32, {rows})});
    b.mark_output(token, kSampled);
}

ops::Program Transformer::build_step(const StepShape& shape) const {
    Build to;
    ProgramBuilder& b = to.b;
    const Dim tokens = Dim::of(b.symbol("T", shape.tokens_max));
    const uint32_t s = b.symbol("S", shape.sequences_max);
    to.rows = b.symbol("L", std::max<int64_t>(shape.logits_max, 1));

    const ValueId ids = b.input("token_ids", kTokenIds, TENON_I32, {tokens});
    to.positions = b.input("positions", kPositions, TENON_I32, {tokens});
    to.kv_slot = b.input("kv_slot", kKvSlot, TENON_I32, {tokens});
    to.block_table =
        b.input("block_table", kBlockTable, TENON_I32, {Dim::of(s), shape.blocks_per_sequence});
    to.kv_len = b.input("kv_len", kKvLen, TENON_I32, {Dim::of(s)});
    to.q_start = b.input("q_start", kQStart, TENON_I32, {Dim::of(s, 1, 1)});
    to.kv = b.kv();

    const int64_t context = shape.context > 0 ? shape.context : config_.context_length;
    for (size_t i = 0; i < design_.ropes.size(); ++i) {
        const bool stretched = entries_.ropes[i].stretched != TENON_NONE &&
                               context > design_.ropes[i].original_context;
        to.tables.push_back(
            weight(to, stretched ? entries_.ropes[i].stretched : entries_.ropes[i].plain));
    }
    const ValueId embedding = weight(to, entries_.embedding);
    ValueId x = b.embed("embed", embedding, ids, design_.embedding_scale);
    for (uint32_t layer = 0; layer < config_.layers; ++layer) {
        b.set_layer(layer);
        x = feed_forward(to, layer, attention(to, layer, x));
    }
    b.set_layer(TENON_NONE);
    end(to, shape, x, embedding);
    return b.build();
}

}  // namespace

Result<TransformerDesign> read_design(const Metadata& metadata) {
    TransformerDesign design;
    ModelConfig& c = design.config;
    c.architecture = metadata.architecture();
    TENON_TRY(const std::string_view name, metadata.file().get_string_or("general.name", ""));
    c.name = name;
    TENON_TRY(c.layers, metadata.count("block_count", 1024));
    TENON_TRY(c.context_length, metadata.count("context_length", 1u << 24));
    TENON_TRY(c.hidden_size, metadata.count("embedding_length", 1u << 20));
    TENON_TRY(design.ffn_size, metadata.count("feed_forward_length", 1u << 22));
    TENON_TRY(c.q_heads, metadata.count("attention.head_count", 1u << 14));
    TENON_TRY(c.kv_heads, metadata.count_or("attention.head_count_kv", 1u << 14, c.q_heads));
    if (c.q_heads % c.kv_heads != 0) {
        return Error{Code::kData, fmt::format("{} query heads cannot be shared by {} key/value "
                                              "heads: expected a multiple",
                                              c.q_heads, c.kv_heads)};
    }
    if (!metadata.has("attention.key_length") && c.hidden_size % c.q_heads != 0) {
        return Error{Code::kData, fmt::format("embedding_length {} is no multiple of head_count {}",
                                              c.hidden_size, c.q_heads)};
    }
    TENON_TRY(c.dim_k, metadata.count_or("attention.key_length", 4096,
                                         std::max(1u, c.hidden_size / c.q_heads)));
    TENON_TRY(c.dim_v, metadata.count_or("attention.value_length", 4096, c.dim_k));
    TENON_TRY(c.pooling, metadata.pooling());
    TENON_TRY(design.norm_epsilon, metadata.positive_or("attention.layer_norm_rms_epsilon", 1e-5f));
    design.attention_scale = 1.0f / std::sqrt(static_cast<float>(c.dim_k));
    TENON_TRY(Rope rope, read_rope(metadata, c.dim_k, c.context_length));
    design.ropes.push_back(std::move(rope));
    design.layers.resize(c.layers);
    return design;
}

Result<std::unique_ptr<Model>> make_transformer(const Metadata& metadata,
                                                TransformerDesign design) {
    TENON_TRY(TransformerWeights weights, find_weights(metadata, design));
    return std::unique_ptr<Model>(
        std::make_unique<Transformer>(std::move(design), std::move(weights)));
}

}  // namespace tenon::model
