// Programs of all architectures over the slow references, against logits of transformers
// (tests/golden/tiny).
#include "core/formats/gguf.h"
#include "core/model/registry.h"
#include "core/model/step_slots.h"
#include "core/ops/interpreter.h"
#include "core/ops/verify.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <set>

namespace tenon::model {
namespace {

const std::string kTiny = TENON_SOURCE_DIR "/tests/golden/tiny/";
constexpr uint32_t kBlockTokens = 16;

// What one step over a whole prompt left in its output slots; all rows asked for, drawn greedily.
struct Outputs {
    std::vector<float> logits;     // f32[ids, vocab]
    std::vector<int32_t> sampled;  // i32[ids]
    std::vector<float> embedding;  // f32[hidden]
};

// Through the interpreter.
Outputs reference_step(const Model& loaded, const std::vector<int32_t>& ids, StepShape::End end,
                       int64_t context = 0) {
    const Model* const model = &loaded;
    const auto n = static_cast<int64_t>(ids.size());
    const int64_t blocks = (n + kBlockTokens - 1) / kBlockTokens;
    const ops::Program program = model->build_step({n, 1, n, blocks, end, context});
    const Status verified = ops::verify_program(program.view());
    EXPECT_TRUE(verified.ok()) << verified.error().message;

    std::vector<ops::StoredWeight> weights;
    for (const WeightSpec& spec : model->weights()) {
        const bool stored = spec.stored != nullptr;
        weights.push_back(
            {stored ? spec.stored->format->format : formats::find_format("f32")->format, spec.rows,
             spec.cols, stored ? spec.stored_bytes() : std::as_bytes(std::span(spec.computed))});
    }
    const ModelConfig& c = model->config();
    tenon_kv_desc desc{};
    desc.size = sizeof desc;
    desc.n_layers = c.layers;
    desc.n_kv_heads = c.kv_heads;
    desc.dim_k = c.dim_k;
    desc.dim_v = c.dim_v;
    desc.block_tokens = kBlockTokens;
    desc.dtype = TENON_F32;
    desc.n_blocks = static_cast<uint32_t>(blocks);
    ops::HostKv kv(desc);
    Result<ops::Interpreter> interpreter =
        ops::Interpreter::create(program.view(), weights, &kv.view());
    EXPECT_TRUE(interpreter.ok()) << interpreter.error().message;

    // Blocks in reverse, so that a place in the cache is not its position.
    std::vector<int32_t> tokens = ids, positions(ids.size()), slots(ids.size()), rows(ids.size());
    std::iota(positions.begin(), positions.end(), 0);
    std::iota(rows.begin(), rows.end(), 0);
    std::vector<int32_t> table(static_cast<size_t>(blocks));
    for (size_t b = 0; b < table.size(); ++b)
        table[b] = static_cast<int32_t>(table.size() - 1 - b);
    for (size_t t = 0; t < ids.size(); ++t) {
        slots[t] = table[t / kBlockTokens] * static_cast<int32_t>(kBlockTokens) +
                   static_cast<int32_t>(t % kBlockTokens);
    }
    std::vector<int32_t> length{static_cast<int32_t>(n)}, starts{0, static_cast<int32_t>(n)};
    std::vector<float> zeros(ids.size(), 0.0f), ones(ids.size(), 1.0f);
    std::vector<int32_t> none(ids.size(), 0);
    std::vector<uint64_t> seeds(ids.size(), 1);
    Outputs out{std::vector<float>(ids.size() * c.vocab_size), std::vector<int32_t>(ids.size()),
                std::vector<float>(c.hidden_size)};
    std::vector<std::span<std::byte>> buffers(program.view().n_slots);
    const auto bind = [&](StepSlot slot, auto& values) {
        if (slot < buffers.size()) buffers[slot] = std::as_writable_bytes(std::span(values));
    };
    bind(kTokenIds, tokens);
    bind(kPositions, positions);
    bind(kKvSlot, slots);
    bind(kBlockTable, table);
    bind(kKvLen, length);
    bind(kQStart, starts);
    bind(kLogitRows, rows);
    bind(kLogits, out.logits);
    bind(kTemperature, zeros);
    bind(kTopK, none);
    bind(kTopP, ones);
    bind(kMinP, zeros);
    bind(kSeed, seeds);
    bind(kSamplePosition, positions);
    bind(kSampled, out.sampled);
    bind(kEmbedding, out.embedding);
    const int64_t symbols[] = {n, 1, n};
    const Status ran = interpreter->run(symbols, buffers);
    EXPECT_TRUE(ran.ok()) << ran.error().message;
    return out;
}

std::vector<float> reference_logits(const formats::LoadedGguf& source,
                                    const std::vector<int32_t>& ids, int64_t context = 0) {
    Result<std::unique_ptr<Model>> model = load_model(source.gguf);
    EXPECT_TRUE(model.ok()) << model.error().message;
    return reference_step(**model, ids, StepShape::End::kLogits, context).logits;
}

// Largest distance of rows of `logits` from a golden file that holds the rows of `positions`.
float distance(const std::vector<float>& logits, const std::string& golden,
               const std::vector<size_t>& positions, size_t vocab) {
    std::vector<float> expected(positions.size() * vocab);
    std::ifstream in(kTiny + golden, std::ios::binary);
    EXPECT_TRUE(in.read(reinterpret_cast<char*>(expected.data()),
                        static_cast<std::streamsize>(expected.size() * 4)))
        << golden;
    float worst = 0;
    for (size_t p = 0; p < positions.size(); ++p) {
        for (size_t v = 0; v < vocab; ++v) {
            const float difference = logits[positions[p] * vocab + v] - expected[p * vocab + v];
            worst = std::max(worst, std::abs(difference));
        }
    }
    return worst;
}

// The figures are near 1e-7; a thousandth is what a backend may be off.
constexpr float kTolerance = 2e-6f;

TEST(Transformer, AgreesWithTransformersOnTinyCheckpoints) {
    const YAML::Node golden = YAML::LoadFile(kTiny + "tiny.json");  // JSON is YAML
    const auto ids = golden["ids"].as<std::vector<int32_t>>();
    const auto positions = golden["positions"].as<std::vector<size_t>>();
    const auto vocab = golden["vocab"].as<size_t>();
    int short_ones = 0;
    std::set<std::string> architectures;
    for (const auto& file : golden["files"]) {
        const auto name = file["model"].as<std::string>();
        SCOPED_TRACE(name);
        Result<formats::LoadedGguf> source = formats::load_gguf(kTiny + name);
        ASSERT_TRUE(source.ok()) << source.error().message;
        architectures.insert(std::string(source->gguf.get_string("general.architecture").value()));
        const std::vector<float> logits = reference_logits(*source, ids);
        ASSERT_EQ(logits.size(), ids.size() * vocab);
        EXPECT_LE(distance(logits, file["logits"].as<std::string>(), positions, vocab), kTolerance);
        if (!file["short_logits"]) continue;
        // A context that the model was trained for takes the other factors of a LongRoPE.
        ++short_ones;
        const auto length = file["short_length"].as<int64_t>();
        const std::vector<int32_t> first(ids.begin(), ids.begin() + length);
        std::vector<size_t> kept = positions;
        std::erase_if(kept, [&](size_t p) { return p >= first.size(); });
        const auto short_logits = file["short_logits"].as<std::string>();
        EXPECT_LE(distance(reference_logits(*source, first, length), short_logits, kept, vocab),
                  kTolerance);
        EXPECT_GT(distance(reference_logits(*source, first, length + 1), short_logits, kept, vocab),
                  1e-3f);
    }
    EXPECT_EQ(architectures, (std::set<std::string>{"gemma3", "llama", "phi3", "qwen2", "qwen3"}));
    EXPECT_EQ(short_ones, 1);
}

// The checkpoint whose head is its embedding table, in float: logits are table * hidden.
constexpr const char* kTied = "llama3-tied-f32.gguf";

TEST(Transformer, OneProgramGivesTokensAndTheirLogits) {
    Result<formats::LoadedGguf> source = formats::load_gguf(kTiny + kTied);
    ASSERT_TRUE(source.ok()) << source.error().message;
    const std::unique_ptr<Model> model = load_model(source->gguf).value();
    const std::vector<int32_t> ids{3, 17, 99, 5, 250};
    const Outputs plain = reference_step(*model, ids, StepShape::End::kLogits);
    const Outputs both = reference_step(*model, ids, StepShape::End::kSampleAndLogits);
    const Outputs token = reference_step(*model, ids, StepShape::End::kSample);
    EXPECT_EQ(both.logits, plain.logits);
    EXPECT_EQ(both.sampled, token.sampled);
    const size_t vocab = model->config().vocab_size;
    for (size_t i = 0; i < ids.size(); ++i) {
        const auto row = plain.logits.begin() + static_cast<std::ptrdiff_t>(i * vocab);
        EXPECT_EQ(both.sampled[i],
                  std::max_element(row, row + static_cast<std::ptrdiff_t>(vocab)) - row);
    }
}

// The head is linear: it maps a pooled hidden state to the logits pooled the same way.
TEST(Transformer, EmbeddingsAreTheNormedStatesPooled) {
    const std::vector<int32_t> ids{3, 17, 99, 5, 250, 8};
    Result<formats::LoadedGguf> source = formats::load_gguf(kTiny + kTied);
    ASSERT_TRUE(source.ok()) << source.error().message;
    const std::unique_ptr<Model> model = load_model(source->gguf).value();
    EXPECT_EQ(model->config().pooling, TENON_POOL_LAST);
    const size_t vocab = model->config().vocab_size;
    const size_t hidden = model->config().hidden_size;
    const formats::GgufTensor* table = source->gguf.find_tensor("token_embd.weight");
    ASSERT_NE(table, nullptr);
    const auto* weights = reinterpret_cast<const float*>(table->bytes.data());
    const Outputs plain = reference_step(*model, ids, StepShape::End::kLogits);
    const Outputs pooled = reference_step(*model, ids, StepShape::End::kEmbedding);
    for (size_t v = 0; v < vocab; ++v) {
        double mapped = 0;
        for (size_t c = 0; c < hidden; ++c)
            mapped += double{weights[v * hidden + c]} * pooled.embedding[c];
        ASSERT_NEAR(mapped, plain.logits[(ids.size() - 1) * vocab + v], 1e-4);
    }
}

}  // namespace
}  // namespace tenon::model
