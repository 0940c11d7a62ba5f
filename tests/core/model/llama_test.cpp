// The llama program over the slow references, against logits of transformers (tests/golden/tiny).
#include "core/formats/gguf.h"
#include "core/model/registry.h"
#include "core/model/step_slots.h"
#include "core/ops/interpreter.h"
#include "core/ops/verify.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <cmath>
#include <fstream>
#include <numeric>

namespace tenon::model {
namespace {

const std::string kTiny = TENON_SOURCE_DIR "/tests/golden/tiny/";
constexpr uint32_t kBlockTokens = 16;

// Logits f32[ids, vocab] of one whole prompt through the interpreter.
std::vector<float> reference_logits(const formats::LoadedGguf& source, const std::vector<int32_t>& ids) {
    const std::unique_ptr<Model> model = load_model(source.gguf).value();
    const auto n = static_cast<int64_t>(ids.size());
    const int64_t blocks = (n + kBlockTokens - 1) / kBlockTokens;
    const ops::Program program = model->build_step({n, 1, n, blocks, StepShape::End::kLogits});
    const Status verified = ops::verify_program(program.view());
    EXPECT_TRUE(verified.ok()) << verified.error().message;

    std::vector<ops::StoredWeight> weights;
    for (const WeightSpec& spec : model->weights()) {
        const bool stored = spec.stored != nullptr;
        weights.push_back({stored ? spec.stored->format->format : formats::find_format("f32")->format,
                           spec.rows, spec.cols,
                           stored ? spec.stored->bytes : std::as_bytes(std::span(spec.computed))});
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
    Result<ops::Interpreter> interpreter = ops::Interpreter::create(program.view(), weights, &kv.view());
    EXPECT_TRUE(interpreter.ok()) << interpreter.error().message;

    // Blocks in reverse, so that a place in the cache is not its position.
    std::vector<int32_t> tokens = ids, positions(ids.size()), slots(ids.size()), rows(ids.size());
    std::iota(positions.begin(), positions.end(), 0);
    std::iota(rows.begin(), rows.end(), 0);
    std::vector<int32_t> table(static_cast<size_t>(blocks));
    for (size_t b = 0; b < table.size(); ++b) table[b] = static_cast<int32_t>(table.size() - 1 - b);
    for (size_t t = 0; t < ids.size(); ++t) {
        slots[t] = table[t / kBlockTokens] * static_cast<int32_t>(kBlockTokens) + static_cast<int32_t>(t % kBlockTokens);
    }
    std::vector<int32_t> length{static_cast<int32_t>(n)}, starts{0, static_cast<int32_t>(n)};
    std::vector<float> logits(ids.size() * c.vocab_size);
    std::vector<std::span<std::byte>> buffers(program.view().n_slots);
    const auto bind = [&](StepSlot slot, auto& values) {
        buffers[slot] = std::as_writable_bytes(std::span(values));
    };
    bind(kTokenIds, tokens);
    bind(kPositions, positions);
    bind(kKvSlot, slots);
    bind(kBlockTable, table);
    bind(kKvLen, length);
    bind(kQStart, starts);
    bind(kLogitRows, rows);
    bind(kLogits, logits);
    const int64_t symbols[] = {n, 1, n};
    const Status ran = interpreter->run(symbols, buffers);
    EXPECT_TRUE(ran.ok()) << ran.error().message;
    return logits;
}

TEST(Llama, AgreesWithTransformersOnTinyCheckpoints) {
    const YAML::Node golden = YAML::LoadFile(kTiny + "tiny.json"); // JSON is YAML
    const auto ids = golden["ids"].as<std::vector<int32_t>>();
    const auto positions = golden["positions"].as<std::vector<size_t>>();
    const auto vocab = golden["vocab"].as<size_t>();
    ASSERT_GE(golden["files"].size(), 6u);
    for (const auto& file : golden["files"]) {
        const auto name = file["model"].as<std::string>();
        Result<formats::LoadedGguf> source = formats::load_gguf(kTiny + name);
        ASSERT_TRUE(source.ok()) << source.error().message;
        const std::vector<float> logits = reference_logits(*source, ids);
        ASSERT_EQ(logits.size(), ids.size() * vocab);
        std::vector<float> expected(positions.size() * vocab);
        std::ifstream in(kTiny + file["logits"].as<std::string>(), std::ios::binary);
        ASSERT_TRUE(in.read(reinterpret_cast<char*>(expected.data()), static_cast<std::streamsize>(expected.size() * 4)));
        float worst = 0;
        for (size_t p = 0; p < positions.size(); ++p) {
            for (size_t v = 0; v < vocab; ++v) {
                worst = std::max(worst, std::abs(logits[positions[p] * vocab + v] - expected[p * vocab + v]));
            }
        }
        EXPECT_LE(worst, 1e-4f) << name;
    }
}

} // namespace
} // namespace tenon::model
