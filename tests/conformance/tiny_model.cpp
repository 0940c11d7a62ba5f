#include "tests/conformance/tiny_model.h"

#include <cmath>

#include "core/formats/format_list.h"

namespace tenon::conformance {

using ops::Dim;
using ops::kNoValue;
using ops::ProgramBuilder;
using ops::ValueId;

namespace {

constexpr uint32_t kQHeads = 4;
constexpr uint32_t kKvHeads = 2;
constexpr uint32_t kLayers = 2;

// Widths that are whole blocks of the format.
struct Widths {
    explicit Widths(const tenon_format& format)
        : columns(whole_blocks(format, 64)),
          hidden(whole_blocks(format, 96)),
          dim(static_cast<uint32_t>(whole_blocks(format, int64_t{kQHeads} * 32) / kQHeads)) {}
    int64_t columns, hidden;
    uint32_t dim;  // of a head
};

// Builds the values of one layer.
struct LayerBuilder {
    Trial& trial;
    ProgramBuilder& b;
    Random& random;
    const tenon_format& format;
    const Widths widths{format};

    ValueId matrix(const std::string& name, int64_t rows, int64_t cols,
                   uint32_t fuse_group = TENON_NONE) {
        TrialWeight weight{name,      format,           rows,
                           cols,      TENON_USE_MATMUL, random_weight(random, format, rows, cols),
                           fuse_group};
        return b.weight(name, trial.add(std::move(weight)), {rows, cols});
    }
    ValueId gain(const std::string& name) {
        std::vector<float> numbers = random.normals(widths.columns, 0.1f);
        for (float& x : numbers)
            x += 1.0f;
        return b.weight(name, trial.add_floats(name, numbers), {widths.columns});
    }

    ValueId layer(uint32_t index, ValueId x, const BatchValues& batch, ValueId inv_freq) {
        b.set_layer(index);
        const std::string at = "blk." + std::to_string(index) + ".";
        const ValueId h = b.rms_norm(at + "norm", x, gain(at + "norm_w"), 1e-5f);
        const ValueId q = b.matmul(
            at + "q", h, matrix(at + "wq", kQHeads * widths.dim, widths.columns, 2 * index));
        const ValueId k = b.matmul(
            at + "k", h, matrix(at + "wk", kKvHeads * widths.dim, widths.columns, 2 * index));
        const ValueId v = b.matmul(
            at + "v", h, matrix(at + "wv", kKvHeads * widths.dim, widths.columns, 2 * index));
        const ValueId rotated = b.rope_kv_write(
            at + "rope", {q, k, v, batch.positions, batch.kv_slot, inv_freq, batch.kv},
            {sizeof(tenon_attr_rope_kv_write), kQHeads, kKvHeads, widths.dim, widths.dim,
             widths.dim, TENON_ROPE_INTERLEAVED, index, 1.0f, 0.0f});
        const ValueId o = b.paged_attn(
            at + "attn", rotated, batch.kv, batch.block_table, batch.kv_len, batch.q_start,
            {sizeof(tenon_attr_paged_attn), kQHeads, kKvHeads, widths.dim, widths.dim, index, 0,
             1.0f / std::sqrt(static_cast<float>(widths.dim)), 0.0f});
        const ValueId a = b.matmul(
            at + "o", o, matrix(at + "wo", widths.columns, kQHeads * widths.dim), kNoValue, x);
        const ValueId f = b.rms_norm(at + "ffn_norm", a, gain(at + "ffn_norm_w"), 1e-5f);
        const ValueId g = b.matmul_glu(
            at + "glu", f, matrix(at + "gate", widths.hidden, widths.columns, 2 * index + 1),
            matrix(at + "up", widths.hidden, widths.columns, 2 * index + 1), TENON_ACT_SILU);
        return b.matmul(at + "down", g, matrix(at + "wdown", widths.columns, widths.hidden),
                        kNoValue, a);
    }
};

}  // namespace

Trial make_tiny_model(const std::string& format_name, tenon_dtype kv_dtype, Random& random,
                      uint32_t sequences) {
    const tenon_format& format = formats::find_format(format_name)->format;
    const Widths widths(format);
    Trial trial;
    trial.kv = tenon_kv_desc{
        sizeof(tenon_kv_desc),           kLayers,      kKvHeads, widths.dim, widths.dim, 16,
        static_cast<uint32_t>(kv_dtype), sequences * 4};
    ProgramBuilder b;
    const BatchValues batch = add_batch(b, int64_t{sequences} * 16, sequences, 4);
    const Dim rows = Dim::of(b.symbol("L", sequences));
    const ValueId ids = b.input("token_ids", kTokenIds, TENON_I32, {batch.tokens});
    const ValueId logit_rows = b.input("logit_rows", kLogitRows, TENON_I32, {rows});
    LayerBuilder layers{trial, b, random, format};
    std::vector<float> frequencies(widths.dim / 2);
    for (size_t i = 0; i < frequencies.size(); ++i) {
        frequencies[i] = std::pow(10000.0f, -static_cast<float>(i) / (widths.dim / 2));
    }
    const ValueId inv_freq =
        b.weight("inv_freq", trial.add_floats("inv_freq", frequencies), {int64_t{widths.dim / 2}});
    TrialWeight embedding{"embedding",
                          format,
                          kTinyVocabulary,
                          widths.columns,
                          TENON_USE_MATMUL | TENON_USE_ROWS,
                          random_weight(random, format, kTinyVocabulary, widths.columns),
                          TENON_NONE};
    const ValueId table =
        b.weight("embedding", trial.add(std::move(embedding)), {kTinyVocabulary, widths.columns});
    ValueId x = b.embed("embed", table, ids, 8.0f);
    for (uint32_t layer = 0; layer < kLayers; ++layer)
        x = layers.layer(layer, x, batch, inv_freq);
    b.set_layer(TENON_NONE);
    const ValueId last = b.gather_rows("last", x, logit_rows);
    const ValueId normed = b.rms_norm("output_norm", last, layers.gain("output_norm_w"), 1e-5f);
    const ValueId logits = b.matmul("logits", normed, table, kNoValue, kNoValue, 4.0f);
    b.mark_output(logits, kTinyLogits);
    const ValueId token = b.sample("sample", logits,
                                   {b.input("temperature", kTinyTemperature, TENON_F32, {rows}),
                                    b.input("top_k", kTinyTopK, TENON_I32, {rows}),
                                    b.input("top_p", kTinyTopP, TENON_F32, {rows}),
                                    b.input("min_p", kTinyMinP, TENON_F32, {rows}),
                                    b.input("seed", kTinySeed, TENON_U64, {rows}),
                                    b.input("position", kTinyPosition, TENON_I32, {rows})});
    b.mark_output(token, kTinyToken);
    trial.program = b.build();
    return trial;
}

Step make_tiny_step(Sequences& sequences, const std::vector<std::vector<int32_t>>& tokens) {
    Step step;
    std::vector<int32_t> counts, ids, last, position;
    for (const std::vector<int32_t>& of_sequence : tokens) {
        counts.push_back(static_cast<int32_t>(of_sequence.size()));
        ids.insert(ids.end(), of_sequence.begin(), of_sequence.end());
        if (!of_sequence.empty()) last.push_back(static_cast<int32_t>(ids.size()) - 1);
    }
    fill_batch(sequences, counts, step);
    for (size_t s = 0; s < tokens.size(); ++s) {
        if (!tokens[s].empty()) position.push_back(sequences.lengths[s]);
    }
    const size_t rows = last.size();
    step.symbols.resize(3);
    step.symbols[2] = static_cast<int64_t>(rows);
    step.set(kTokenIds, ids);
    step.set(kLogitRows, last);
    step.set(kTinyTemperature, std::vector<float>(rows, 0.0f));
    step.set(kTinyTopK, std::vector<int32_t>(rows, 0));
    step.set(kTinyTopP, std::vector<float>(rows, 1.0f));
    step.set(kTinyMinP, std::vector<float>(rows, 0.0f));
    step.set(kTinySeed, std::vector<uint64_t>(rows, 1));
    step.set(kTinyPosition, position);
    return step;
}

}  // namespace tenon::conformance
