// The llama architecture: pre-norm blocks of grouped-query attention with rotary positions and a
// gated SiLU feed-forward. SmolLM2, Llama 2 and 3.x, Mistral. Tied or separate head.
#include "core/model/metadata.h"
#include "core/model/rope.h"
#include "core/model/step_slots.h"

#include <tenon/reference/dequant.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tenon::model {

Result<std::unique_ptr<Model>> load_llama(const formats::GgufFile& file);

namespace {

using ops::Dim;
using ops::ProgramBuilder;
using ops::ValueId;

constexpr uint32_t kVocabMax = 1u << 24;

// Entries of the weight set that one layer reads.
struct LayerWeights {
    uint32_t attn_norm, q, k, v, out, ffn_norm, gate, up, down;
    uint32_t q_bias = TENON_NONE, k_bias = TENON_NONE, v_bias = TENON_NONE, out_bias = TENON_NONE;
};

class Llama final : public Model {
public:
    Status load(const formats::GgufFile& file);
    ops::Program build_step(const StepShape& shape) const override;

private:
    Status load_rope(const formats::GgufFile& file, const Metadata& metadata);
    Status load_layer(const Metadata& metadata, uint32_t layer);
    Status put(const Metadata& metadata, const std::string& name, int64_t rows, int64_t cols,
               uint32_t uses, uint32_t* entry, uint32_t fuse_group = TENON_NONE);
    Status put_bias(const Metadata& metadata, const std::string& name, int64_t n, uint32_t* entry);

    uint32_t ffn_size_ = 0;
    uint32_t rope_dim_ = 0;
    uint32_t window_ = 0;
    float norm_epsilon_ = 0;
    uint32_t inv_freq_ = 0, embedding_ = 0, output_norm_ = 0, head_ = 0;
    std::vector<LayerWeights> layers_;
};

Status Llama::put(const Metadata& metadata, const std::string& name, int64_t rows, int64_t cols,
                  uint32_t uses, uint32_t* entry, uint32_t fuse_group) {
    TENON_TRY(WeightSpec spec, metadata.weight(name, rows, cols, uses, fuse_group));
    *entry = static_cast<uint32_t>(weights_.size());
    weights_.push_back(std::move(spec));
    return {};
}

Status Llama::put_bias(const Metadata& metadata, const std::string& name, int64_t n,
                       uint32_t* entry) {
    if (!metadata.has_tensor(name)) return {};
    return put(metadata, name, 1, n, TENON_USE_ELEMENTWISE, entry);
}

Status Llama::load(const formats::GgufFile& file) {
    const Metadata metadata(file, "llama");
    config_.architecture = "llama";
    TENON_TRY(const std::string_view name, file.get_string_or("general.name", ""));
    config_.name = name;
    TENON_TRY(config_.layers, metadata.count("block_count", 1024));
    TENON_TRY(config_.context_length, metadata.count("context_length", 1u << 24));
    TENON_TRY(config_.hidden_size, metadata.count("embedding_length", 1u << 20));
    TENON_TRY(ffn_size_, metadata.count("feed_forward_length", 1u << 22));
    TENON_TRY(config_.q_heads, metadata.count("attention.head_count", 1u << 14));
    TENON_TRY(config_.kv_heads,
              metadata.count_or("attention.head_count_kv", 1u << 14, config_.q_heads));
    if (config_.q_heads % config_.kv_heads != 0) {
        return Error{Code::kData, fmt::format("{} query heads cannot be shared by {} key/value "
                                              "heads: expected a multiple",
                                              config_.q_heads, config_.kv_heads)};
    }
    if (!metadata.has("attention.key_length") && config_.hidden_size % config_.q_heads != 0) {
        return Error{Code::kData, fmt::format("embedding_length {} is no multiple of head_count {}",
                                              config_.hidden_size, config_.q_heads)};
    }
    TENON_TRY(config_.dim_k,
              metadata.count_or("attention.key_length", 4096,
                                std::max(1u, config_.hidden_size / config_.q_heads)));
    TENON_TRY(config_.dim_v, metadata.count_or("attention.value_length", 4096, config_.dim_k));
    TENON_TRY(config_.pooling, metadata.pooling());
    TENON_TRY(norm_epsilon_, metadata.positive_or("attention.layer_norm_rms_epsilon", 1e-5f));
    TENON_TRY(window_, metadata.count_or("attention.sliding_window", 1u << 24, 0));

    TENON_TRY(const formats::GgufTensor* embedding, file.get_tensor("token_embd.weight"));
    if (embedding->rows() > kVocabMax) {
        return Error{Code::kData, fmt::format("token_embd.weight has {} rows; expected at most {}",
                                              embedding->rows(), kVocabMax)};
    }
    const auto vocab = static_cast<int64_t>(embedding->rows());
    config_.vocab_size = static_cast<uint32_t>(vocab);
    if (metadata.has("vocab_size")) {
        TENON_TRY(const uint32_t declared, metadata.count("vocab_size", kVocabMax));
        if (declared != config_.vocab_size) {
            return Error{Code::kData, fmt::format("llama.vocab_size is {}, but token_embd.weight "
                                                  "has {} rows",
                                                  declared, vocab)};
        }
    }

    const int64_t hidden = config_.hidden_size;
    const bool tied = !metadata.has_tensor("output.weight");
    TENON_CHECK(put(metadata, "token_embd.weight", vocab, hidden,
                    tied ? uint32_t{TENON_USE_ROWS} | TENON_USE_MATMUL : uint32_t{TENON_USE_ROWS},
                    &embedding_));
    TENON_CHECK(load_rope(file, metadata));
    for (uint32_t layer = 0; layer < config_.layers; ++layer)
        TENON_CHECK(load_layer(metadata, layer));
    TENON_CHECK(
        put(metadata, "output_norm.weight", 1, hidden, TENON_USE_ELEMENTWISE, &output_norm_));
    head_ = embedding_;
    if (!tied) {
        TENON_CHECK(put(metadata, "output.weight", vocab, hidden, TENON_USE_MATMUL, &head_));
    }
    return {};
}

Status Llama::load_rope(const formats::GgufFile& file, const Metadata& metadata) {
    TENON_TRY(rope_dim_, metadata.count_or("rope.dimension_count", config_.dim_k, config_.dim_k));
    if (rope_dim_ % 2 != 0) {
        return Error{Code::kData, fmt::format("llama.rope.dimension_count is {}; expected an even "
                                              "number",
                                              rope_dim_)};
    }
    TENON_TRY(const float base, metadata.positive_or("rope.freq_base", 10000.0f));
    TENON_TRY(const std::string scaling, metadata.text_or_empty("rope.scaling.type"));
    float linear = 1;
    if (scaling == "linear") {
        TENON_TRY(linear, metadata.positive_or("rope.scaling.factor", 1.0f));
    } else if (!scaling.empty() && scaling != "none") {
        return Error{Code::kUnsupported, fmt::format("llama.rope.scaling.type is '{}'; known are "
                                                     "none, linear and stored factors",
                                                     scaling)};
    }
    std::vector<float> factors;
    if (const formats::GgufTensor* stored = file.find_tensor("rope_freqs.weight")) {
        TENON_TRY(const WeightSpec spec,
                  metadata.weight("rope_freqs.weight", 1, rope_dim_ / 2, TENON_USE_ELEMENTWISE));
        factors.resize(static_cast<size_t>(spec.cols));
        reference::dequant_row(stored->format->format, stored->bytes.data(), spec.cols,
                               factors.data());
    }
    WeightSpec spec;
    TENON_TRY(spec.computed, inverse_frequencies(base, rope_dim_, linear, factors));
    spec.name = "rope_inv_freq";
    spec.uses = TENON_USE_ELEMENTWISE;
    spec.rows = 1;
    spec.cols = rope_dim_ / 2;
    inv_freq_ = static_cast<uint32_t>(weights_.size());
    weights_.push_back(std::move(spec));
    return {};
}

Status Llama::load_layer(const Metadata& metadata, uint32_t layer) {
    const int64_t hidden = config_.hidden_size;
    const int64_t q = int64_t{config_.q_heads} * config_.dim_k;
    const int64_t k = int64_t{config_.kv_heads} * config_.dim_k;
    const int64_t v = int64_t{config_.kv_heads} * config_.dim_v;
    const int64_t o = int64_t{config_.q_heads} * config_.dim_v;
    const auto name = [&](const char* part) { return fmt::format("blk.{}.{}", layer, part); };
    const uint32_t qkv_group = layer * 2;
    const uint32_t ffn_group = layer * 2 + 1;
    const uint32_t mm = TENON_USE_MATMUL;
    LayerWeights w{};
    TENON_CHECK(
        put(metadata, name("attn_norm.weight"), 1, hidden, TENON_USE_ELEMENTWISE, &w.attn_norm));
    TENON_CHECK(put(metadata, name("attn_q.weight"), q, hidden, mm, &w.q, qkv_group));
    TENON_CHECK(put(metadata, name("attn_k.weight"), k, hidden, mm, &w.k, qkv_group));
    TENON_CHECK(put(metadata, name("attn_v.weight"), v, hidden, mm, &w.v, qkv_group));
    TENON_CHECK(put(metadata, name("attn_output.weight"), hidden, o, mm, &w.out));
    TENON_CHECK(
        put(metadata, name("ffn_norm.weight"), 1, hidden, TENON_USE_ELEMENTWISE, &w.ffn_norm));
    TENON_CHECK(put(metadata, name("ffn_gate.weight"), ffn_size_, hidden, mm, &w.gate, ffn_group));
    TENON_CHECK(put(metadata, name("ffn_up.weight"), ffn_size_, hidden, mm, &w.up, ffn_group));
    TENON_CHECK(put(metadata, name("ffn_down.weight"), hidden, ffn_size_, mm, &w.down));
    w.q_bias = w.k_bias = w.v_bias = w.out_bias = TENON_NONE;
    TENON_CHECK(put_bias(metadata, name("attn_q.bias"), q, &w.q_bias));
    TENON_CHECK(put_bias(metadata, name("attn_k.bias"), k, &w.k_bias));
    TENON_CHECK(put_bias(metadata, name("attn_v.bias"), v, &w.v_bias));
    TENON_CHECK(put_bias(metadata, name("attn_output.bias"), hidden, &w.out_bias));
    layers_.push_back(w);
    return {};
}

ops::Program Llama::build_step(const StepShape& shape) const {
    ProgramBuilder b;
    const Dim tokens = Dim::of(b.symbol("T", shape.tokens_max));
    const uint32_t s = b.symbol("S", shape.sequences_max);
    const Dim rows = Dim::of(b.symbol("L", std::max<int64_t>(shape.logits_max, 1)));

    const ValueId ids = b.input("token_ids", kTokenIds, TENON_I32, {tokens});
    const ValueId positions = b.input("positions", kPositions, TENON_I32, {tokens});
    const ValueId kv_slot = b.input("kv_slot", kKvSlot, TENON_I32, {tokens});
    const ValueId block_table =
        b.input("block_table", kBlockTable, TENON_I32, {Dim::of(s), shape.blocks_per_sequence});
    const ValueId kv_len = b.input("kv_len", kKvLen, TENON_I32, {Dim::of(s)});
    const ValueId q_start = b.input("q_start", kQStart, TENON_I32, {Dim::of(s, 1, 1)});
    const ValueId kv = b.kv();

    const auto weight = [&](uint32_t entry) {
        const WeightSpec& spec = weights_[entry];
        if (spec.uses & TENON_USE_ELEMENTWISE) return b.weight(spec.name, entry, {spec.cols});
        return b.weight(spec.name, entry, {spec.rows, spec.cols});
    };
    const auto optional = [&](uint32_t entry) {
        return entry == TENON_NONE ? ops::kNoValue : weight(entry);
    };
    const ValueId inv_freq = weight(inv_freq_);
    const ValueId embedding = weight(embedding_);

    ValueId x = b.embed("embed", embedding, ids, 1.0f);
    for (uint32_t layer = 0; layer < config_.layers; ++layer) {
        const LayerWeights& w = layers_[layer];
        b.set_layer(layer);
        const auto name = [&](const char* part) { return fmt::format("blk.{}.{}", layer, part); };
        const ValueId h = b.rms_norm(name("attn_norm"), x, weight(w.attn_norm), norm_epsilon_);
        const ValueId q = b.matmul(name("attn_q"), h, weight(w.q), optional(w.q_bias));
        const ValueId k = b.matmul(name("attn_k"), h, weight(w.k), optional(w.k_bias));
        const ValueId v = b.matmul(name("attn_v"), h, weight(w.v), optional(w.v_bias));

        tenon_attr_rope_kv_write rope{};
        rope.size = sizeof rope;
        rope.n_q_heads = config_.q_heads;
        rope.n_kv_heads = config_.kv_heads;
        rope.dim_k = config_.dim_k;
        rope.dim_v = config_.dim_v;
        rope.rope_dim = rope_dim_;
        rope.style = TENON_ROPE_INTERLEAVED;  // GGUF permutes the rows of q and k to this pairing
        rope.layer = layer;
        rope.mscale = 1;
        const ValueId rotated =
            b.rope_kv_write(name("rope"), {q, k, v, positions, kv_slot, inv_freq, kv}, rope);

        tenon_attr_paged_attn attn{};
        attn.size = sizeof attn;
        attn.n_q_heads = config_.q_heads;
        attn.n_kv_heads = config_.kv_heads;
        attn.dim_k = config_.dim_k;
        attn.dim_v = config_.dim_v;
        attn.layer = layer;
        attn.window = static_cast<int32_t>(window_);
        attn.scale = 1.0f / std::sqrt(static_cast<float>(config_.dim_k));
        const ValueId o =
            b.paged_attn(name("attn"), rotated, kv, block_table, kv_len, q_start, attn);
        const ValueId a = b.matmul(name("attn_output"), o, weight(w.out), optional(w.out_bias), x);

        const ValueId f = b.rms_norm(name("ffn_norm"), a, weight(w.ffn_norm), norm_epsilon_);
        const ValueId g =
            b.matmul_glu(name("ffn_gate_up"), f, weight(w.gate), weight(w.up), TENON_ACT_SILU);
        x = b.matmul(name("ffn_down"), g, weight(w.down), ops::kNoValue, a);
    }
    b.set_layer(TENON_NONE);
    if (shape.end == StepShape::End::kEmbedding) {
        const ValueId all = b.rms_norm("output_norm", x, weight(output_norm_), norm_epsilon_);
        b.mark_output(b.pool_rows("pool", all, q_start, config_.pooling), kEmbedding);
        return b.build();
    }
    const ValueId logit_rows = b.input("logit_rows", kLogitRows, TENON_I32, {rows});
    const ValueId last = b.gather_rows("logit_rows", x, logit_rows);
    const ValueId normed = b.rms_norm("output_norm", last, weight(output_norm_), norm_epsilon_);
    const ValueId head = head_ == embedding_ ? embedding : weight(head_);
    const ValueId logits = b.matmul("logits", normed, head);
    if (shape.end != StepShape::End::kSample) b.mark_output(logits, kLogits);
    if (shape.end == StepShape::End::kLogits) return b.build();
    const ValueId token = b.sample(
        "sample", logits,
        {b.input("temperature", kTemperature, TENON_F32, {rows}),
         b.input("top_k", kTopK, TENON_I32, {rows}), b.input("top_p", kTopP, TENON_F32, {rows}),
         b.input("min_p", kMinP, TENON_F32, {rows}), b.input("seed", kSeed, TENON_U64, {rows}),
         b.input("sample_position", kSamplePosition, TENON_I32, {rows})});
    b.mark_output(token, kSampled);
    return b.build();
}

}  // namespace

Result<std::unique_ptr<Model>> load_llama(const formats::GgufFile& file) {
    auto model = std::make_unique<Llama>();
    TENON_CHECK(model->load(file));
    return std::unique_ptr<Model>(std::move(model));
}

}  // namespace tenon::model
