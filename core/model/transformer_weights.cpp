#include "core/model/transformer_weights.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::model {
namespace {

constexpr uint32_t kVocabMax = 1u << 24;
constexpr uint32_t kMatmul = TENON_USE_MATMUL;
constexpr uint32_t kVector = TENON_USE_ELEMENTWISE;

class Finder {
public:
    Finder(const Metadata& metadata, TransformerDesign& design)
        : metadata_(metadata), design_(design) {}

    Result<TransformerWeights> run();

private:
    uint32_t put(WeightSpec spec);
    Status put(const std::string& name, int64_t rows, int64_t cols, uint32_t uses, uint32_t* entry,
               uint32_t fuse_group = TENON_NONE);
    Status put_if_stored(const std::string& name, int64_t n, uint32_t* entry);
    Status put_rope(const Rope& rope);
    Status put_layer(uint32_t layer);
    Status put_attention(uint32_t layer, LayerEntries& w);
    Status put_feed_forward(uint32_t layer, LayerEntries& w);
    // Weights that are consecutive rows of the tensor `name`.
    struct Part {
        const char* name;
        int64_t rows;
        uint32_t* entry;
    };
    Status put_parts(const std::string& name, std::initializer_list<Part> parts,
                     uint32_t fuse_group);
    Status check_vocabulary();
    Status check_all_read() const;

    const Metadata& metadata_;
    TransformerDesign& design_;
    TransformerWeights to_;
    std::string prefix_;  // of the layer's names
};

uint32_t Finder::put(WeightSpec spec) {
    to_.specs.push_back(std::move(spec));
    return static_cast<uint32_t>(to_.specs.size() - 1);
}

Status Finder::put(const std::string& name, int64_t rows, int64_t cols, uint32_t uses,
                   uint32_t* entry, uint32_t fuse_group) {
    TENON_TRY(WeightSpec spec, metadata_.weight(name, rows, cols, uses, fuse_group));
    *entry = put(std::move(spec));
    return {};
}

Status Finder::put_if_stored(const std::string& name, int64_t n, uint32_t* entry) {
    if (!metadata_.has_tensor(name)) return {};
    return put(name, 1, n, kVector, entry);
}

Status Finder::put_parts(const std::string& name, std::initializer_list<Part> parts,
                         uint32_t fuse_group) {
    int64_t rows = 0;
    for (const Part& part : parts)
        rows += part.rows;
    TENON_TRY(const WeightSpec whole,
              metadata_.weight(name, rows, design_.config.hidden_size, kMatmul, fuse_group));
    int64_t row = 0;
    for (const Part& part : parts) {
        WeightSpec spec = whole;
        spec.name = prefix_ + part.name;
        spec.rows = part.rows;
        spec.stored_row = row;
        row += part.rows;
        *part.entry = put(std::move(spec));
    }
    return {};
}

Status Finder::check_vocabulary() {
    TENON_TRY(const formats::GgufTensor* embedding,
              metadata_.file().get_tensor("token_embd.weight"));
    if (embedding->rows() > kVocabMax) {
        return Error{Code::kData, fmt::format("token_embd.weight has {} rows; expected at most {}",
                                              embedding->rows(), kVocabMax)};
    }
    design_.config.vocab_size = static_cast<uint32_t>(embedding->rows());
    if (!metadata_.has("vocab_size")) return {};
    TENON_TRY(const uint32_t declared, metadata_.count("vocab_size", kVocabMax));
    if (declared == design_.config.vocab_size) return {};
    return Error{Code::kData,
                 fmt::format("{} is {}, but token_embd.weight has {} rows",
                             metadata_.key("vocab_size"), declared, design_.config.vocab_size)};
}

Status Finder::put_rope(const Rope& rope) {
    const auto table = [&](const char* suffix, const std::vector<float>& values) {
        if (values.empty()) return TENON_NONE;
        WeightSpec spec;
        spec.name = rope.name + suffix;
        spec.uses = kVector;
        spec.rows = 1;
        spec.cols = static_cast<int64_t>(values.size());
        spec.computed = values;
        return put(std::move(spec));
    };
    RopeEntries entries;
    entries.plain = table("", rope.inv_freq);
    entries.stretched = table("_long", rope.inv_freq_long);
    to_.entries.ropes.push_back(entries);
    return {};
}

Status Finder::put_attention(uint32_t layer, LayerEntries& w) {
    const ModelConfig& c = design_.config;
    const int64_t hidden = c.hidden_size;
    const int64_t q = int64_t{c.q_heads} * c.dim_k;
    const int64_t k = int64_t{c.kv_heads} * c.dim_k;
    const int64_t v = int64_t{c.kv_heads} * c.dim_v;
    const uint32_t group = layer * 2;
    TENON_CHECK(put(prefix_ + "attn_norm.weight", 1, hidden, kVector, &w.attn_norm));
    if (design_.fused) {
        TENON_CHECK(put_parts(
            prefix_ + "attn_qkv.weight",
            {{"attn_q.weight", q, &w.q}, {"attn_k.weight", k, &w.k}, {"attn_v.weight", v, &w.v}},
            group));
    } else {
        TENON_CHECK(put(prefix_ + "attn_q.weight", q, hidden, kMatmul, &w.q, group));
        TENON_CHECK(put(prefix_ + "attn_k.weight", k, hidden, kMatmul, &w.k, group));
        TENON_CHECK(put(prefix_ + "attn_v.weight", v, hidden, kMatmul, &w.v, group));
    }
    TENON_CHECK(
        put(prefix_ + "attn_output.weight", hidden, int64_t{c.q_heads} * c.dim_v, kMatmul, &w.out));
    const auto bias = [&](const char* name, int64_t n, uint32_t* entry) {
        if (design_.qkv_bias) return put(prefix_ + name, 1, n, kVector, entry);
        return put_if_stored(prefix_ + name, n, entry);
    };
    TENON_CHECK(bias("attn_q.bias", q, &w.q_bias));
    TENON_CHECK(bias("attn_k.bias", k, &w.k_bias));
    TENON_CHECK(bias("attn_v.bias", v, &w.v_bias));
    TENON_CHECK(put_if_stored(prefix_ + "attn_output.bias", hidden, &w.out_bias));
    if (design_.qk_norm) {
        TENON_CHECK(put(prefix_ + "attn_q_norm.weight", 1, c.dim_k, kVector, &w.q_norm));
        TENON_CHECK(put(prefix_ + "attn_k_norm.weight", 1, c.dim_k, kVector, &w.k_norm));
    }
    if (!design_.post_norms) return {};
    return put(prefix_ + "post_attention_norm.weight", 1, hidden, kVector, &w.attn_post_norm);
}

Status Finder::put_feed_forward(uint32_t layer, LayerEntries& w) {
    const int64_t hidden = design_.config.hidden_size;
    const int64_t wide = design_.ffn_size;
    const uint32_t group = layer * 2 + 1;
    TENON_CHECK(put(prefix_ + "ffn_norm.weight", 1, hidden, kVector, &w.ffn_norm));
    if (design_.fused) {
        TENON_CHECK(put_parts(prefix_ + "ffn_up.weight",
                              {{"ffn_gate.weight", wide, &w.gate}, {"ffn_up.weight", wide, &w.up}},
                              group));
    } else {
        TENON_CHECK(put(prefix_ + "ffn_gate.weight", wide, hidden, kMatmul, &w.gate, group));
        TENON_CHECK(put(prefix_ + "ffn_up.weight", wide, hidden, kMatmul, &w.up, group));
    }
    TENON_CHECK(put(prefix_ + "ffn_down.weight", hidden, wide, kMatmul, &w.down));
    if (!design_.post_norms) return {};
    return put(prefix_ + "post_ffw_norm.weight", 1, hidden, kVector, &w.ffn_post_norm);
}

Status Finder::put_layer(uint32_t layer) {
    prefix_ = fmt::format("blk.{}.", layer);
    LayerEntries w;
    TENON_CHECK(put_attention(layer, w));
    TENON_CHECK(put_feed_forward(layer, w));
    to_.entries.layers.push_back(w);
    return {};
}

// A tensor of a layer that nobody reads would change what the layer computes.
Status Finder::check_all_read() const {
    std::vector<const formats::GgufTensor*> read;
    for (const WeightSpec& spec : to_.specs)
        read.push_back(spec.stored);
    std::sort(read.begin(), read.end());
    for (const formats::GgufTensor& tensor : metadata_.file().tensors()) {
        if (!tensor.name.starts_with("blk.")) continue;
        if (std::binary_search(read.begin(), read.end(), &tensor)) continue;
        return Error{Code::kUnsupported,
                     fmt::format("tensor {} is none that a {} model of {} layers reads",
                                 tensor.name, metadata_.architecture(), design_.config.layers)};
    }
    return {};
}

Result<TransformerWeights> Finder::run() {
    TENON_CHECK(check_vocabulary());
    const int64_t hidden = design_.config.hidden_size;
    const int64_t vocab = design_.config.vocab_size;
    const bool tied = !metadata_.has_tensor("output.weight");
    TENON_CHECK(put("token_embd.weight", vocab, hidden,
                    tied ? uint32_t{TENON_USE_ROWS} | kMatmul : uint32_t{TENON_USE_ROWS},
                    &to_.entries.embedding));
    for (const Rope& rope : design_.ropes)
        TENON_CHECK(put_rope(rope));
    for (uint32_t layer = 0; layer < design_.config.layers; ++layer)
        TENON_CHECK(put_layer(layer));
    TENON_CHECK(put("output_norm.weight", 1, hidden, kVector, &to_.entries.output_norm));
    to_.entries.head = to_.entries.embedding;
    if (!tied) TENON_CHECK(put("output.weight", vocab, hidden, kMatmul, &to_.entries.head));
    TENON_CHECK(put_if_stored("output.bias", vocab, &to_.entries.head_bias));
    TENON_CHECK(check_all_read());
    return std::move(to_);
}

}  // namespace

Result<TransformerWeights> find_weights(const Metadata& metadata, TransformerDesign& design) {
    return Finder(metadata, design).run();
}

}  // namespace tenon::model
