// Files of each architecture that are complete, and the same with one thing wrong.
#include "core/model/registry.h"

#include "core/formats/gguf.h"
#include "core/ops/verify.h"
#include "tests/core/formats/gguf_builder.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <variant>

namespace tenon::model {
namespace {

using Value = std::variant<uint32_t, float, std::string>;

// A file before it is written: keys without the architecture's prefix, tensors as [columns, rows].
struct Sketch {
    std::string architecture;
    std::map<std::string, Value> keys;
    std::map<std::string, std::vector<uint64_t>> tensors;

    void factors(const std::string& name, uint64_t n) { tensors[name] = {n}; }

    std::string bytes() const {
        formats::GgufBuilder to;
        to.text("general.architecture", architecture);
        for (const auto& [name, value] : keys) {
            const std::string key = architecture + "." + name;
            if (const auto* number = std::get_if<uint32_t>(&value)) to.number(key, *number);
            if (const auto* real = std::get_if<float>(&value)) to.number(key, *real);
            if (const auto* text = std::get_if<std::string>(&value)) to.text(key, *text);
        }
        for (const auto& [name, dims] : tensors)
            to.tensor(name, "f32", dims);
        return to.bytes();
    }
};

// Hidden 32, two heads of 16 over one, two layers.
Sketch sketch(const std::string& architecture) {
    Sketch s{architecture,
             {{"block_count", 2u},
              {"context_length", 512u},
              {"embedding_length", 32u},
              {"feed_forward_length", 48u},
              {"attention.head_count", 2u},
              {"attention.head_count_kv", 1u}},
             {{"token_embd.weight", {32, 7}}, {"output_norm.weight", {32}}}};
    const bool fused = architecture == "phi3";
    for (const std::string layer : {"blk.0.", "blk.1."}) {
        const auto put = [&](const std::string& name, std::vector<uint64_t> dims) {
            s.tensors[layer + name + ".weight"] = std::move(dims);
        };
        put("attn_norm", {32});
        put("ffn_norm", {32});
        put("attn_output", {32, 32});
        put("ffn_down", {48, 32});
        put("ffn_up", {32, fused ? 96u : 48u});
        if (fused) {
            put("attn_qkv", {32, 64});
        } else {
            put("attn_q", {32, 32});
            put("attn_k", {32, 16});
            put("attn_v", {32, 16});
            put("ffn_gate", {32, 48});
        }
        if (architecture == "qwen2") {
            s.tensors[layer + "attn_q.bias"] = {32};
            s.tensors[layer + "attn_k.bias"] = {16};
            s.tensors[layer + "attn_v.bias"] = {16};
        }
        if (architecture == "qwen3" || architecture == "gemma3") {
            put("attn_q_norm", {16});
            put("attn_k_norm", {16});
        }
        if (architecture == "gemma3") {
            put("post_attention_norm", {32});
            put("post_ffw_norm", {32});
        }
    }
    return s;
}

// "" when the file loads.
std::string error_of(const Sketch& s) {
    const std::string bytes = s.bytes();
    const Result<formats::GgufFile> file = formats::parse_gguf(formats::view(bytes));
    EXPECT_TRUE(file.ok()) << file.error().message;
    const auto model = load_model(*file);
    return model.ok() ? "" : model.error().message;
}

TEST(Registry, LoadsEachArchitecture) {
    for (const char* architecture : {"gemma3", "llama", "phi3", "qwen2", "qwen3"})
        EXPECT_EQ(error_of(sketch(architecture)), "") << architecture;
    EXPECT_EQ(error_of({"mamba", {}, {}}),
              "architecture 'mamba' is not known; known are: gemma3, llama, phi3, qwen2, qwen3");
}

struct Mistake {
    const char* architecture;
    std::function<void(Sketch&)> make;
    const char* message;
};

TEST(Registry, ToldWrongWhatIsWrong) {
    const Mistake mistakes[] = {
        {"qwen2", [](Sketch& s) { s.tensors.erase("blk.1.attn_k.bias"); },
         "tensor blk.1.attn_k.bias is missing"},
        {"qwen3", [](Sketch& s) { s.tensors.erase("blk.0.attn_q_norm.weight"); },
         "tensor blk.0.attn_q_norm.weight is missing"},
        {"gemma3", [](Sketch& s) { s.tensors.erase("blk.0.post_ffw_norm.weight"); },
         "tensor blk.0.post_ffw_norm.weight is missing"},
        {"llama", [](Sketch& s) { s.tensors["blk.0.attn_q_norm.weight"] = {16}; },
         "tensor blk.0.attn_q_norm.weight is none that a llama model of 2 layers reads"},
        {"qwen3", [](Sketch& s) { s.keys["block_count"] = 1u; }, "a qwen3 model of 1 layers reads"},
        {"phi3",
         [](Sketch& s) {
             s.tensors["blk.1.attn_qkv.weight"] = {32, 63};
         },
         "tensor blk.1.attn_qkv.weight has 63 rows of 32 columns; this model needs 64 rows of 32"},
        {"phi3",
         [](Sketch& s) {
             s.tensors["blk.0.ffn_up.weight"] = {32, 48};
         },
         "tensor blk.0.ffn_up.weight has 48 rows of 32 columns; this model needs 96 rows of 32"},
        {"phi3", [](Sketch& s) { s.factors("rope_factors_long.weight", 8); },
         "tensor rope_factors_short.weight is missing"},
        {"phi3", [](Sketch& s) { s.keys["rope.scaling.type"] = "longrope"; },
         "tensor rope_factors_short.weight is missing"},
        {"phi3",
         [](Sketch& s) {
             s.factors("rope_factors_long.weight", 8);
             s.factors("rope_factors_short.weight", 8);
             s.keys["rope.scaling.type"] = "yarn";
         },
         "phi3.rope.scaling.type is 'yarn', but the file has tensors of longrope"},
        {"llama",
         [](Sketch& s) {
             s.factors("rope_freqs.weight", 8);
             s.keys["rope.scaling.type"] = "yarn";
         },
         "llama.rope.scaling.type is 'yarn', but the file also has the factors rope_freqs.weight"},
        {"phi3", [](Sketch& s) { s.keys["attention.sliding_window"] = 1u << 25; },
         "phi3.attention.sliding_window is 33554432; expected 0 to 16777216"},
        {"gemma3", [](Sketch& s) { s.keys["final_logit_softcapping"] = -1.0f; },
         "gemma3.final_logit_softcapping is -1; expected a finite number above 0"},
        {"gemma3",
         [](Sketch& s) {
             s.keys["attention.sliding_window"] = 8u;
             s.keys["rope.freq_base_swa"] = NAN;
         },
         "gemma3.rope.freq_base_swa is nan; expected a finite number above 0"},
        {"qwen2", [](Sketch& s) { s.keys["rope.scaling.type"] = "yarn"; },
         "qwen2.rope.scaling.factor"},
        {"qwen2",
         [](Sketch& s) {
             s.keys["rope.scaling.type"] = "yarn";
             s.keys["rope.scaling.factor"] = 4.0f;
         },
         "qwen2.rope.scaling.original_context_length"},
        {"qwen2",
         [](Sketch& s) {
             s.keys["rope.scaling.type"] = "yarn";
             s.keys["rope.scaling.factor"] = 4.0f;
             s.keys["rope.scaling.original_context_length"] = 128u;
             s.keys["rope.freq_base"] = 1.0f;
         },
         "qwen2.rope.freq_base is 1; YaRN needs more than 1"},
        {"qwen2",
         [](Sketch& s) {
             s.keys["rope.scaling.type"] = "yarn";
             s.keys["rope.scaling.factor"] = 4.0f;
             s.keys["rope.scaling.original_context_length"] = 128u;
             s.keys["rope.scaling.yarn_ext_factor"] = 0.5f;
         },
         "qwen2.rope.scaling.yarn_ext_factor is 0.5; known is 1"},
        {"llama", [](Sketch& s) { s.keys["rope.scaling.type"] = "dynamic"; },
         "llama.rope.scaling.type is 'dynamic'; known are none, linear, yarn and longrope"},
        {"llama", [](Sketch& s) { s.keys["rope.dimension_count"] = 7u; },
         "llama.rope.dimension_count is 7; expected an even number"},
        {"llama", [](Sketch& s) { s.keys["attention.head_count_kv"] = 3u; },
         "2 query heads cannot be shared by 3 key/value heads"},
        {"llama", [](Sketch& s) { s.keys["vocab_size"] = 8u; },
         "llama.vocab_size is 8, but token_embd.weight has 7 rows"},
    };
    for (const Mistake& mistake : mistakes) {
        Sketch s = sketch(mistake.architecture);
        mistake.make(s);
        const std::string seen = error_of(s);
        EXPECT_NE(seen.find(mistake.message), std::string::npos)
            << "seen: " << seen << "\nwanted: " << mistake.message;
    }
}

// A reader may have let types pass that nobody can decode.
TEST(Registry, RefusesATensorOfUnknownType) {
    formats::GgufBuilder to;
    to.text("general.architecture", "llama");
    for (const auto& [name, value] : sketch("llama").keys)
        to.number("llama." + name, std::get<uint32_t>(value));
    to.tensor_at("token_embd.weight", 99, {32, 7}, 0);
    const std::string bytes = to.bytes();
    formats::GgufLimits limits;
    limits.takes_unknown_types = true;
    const formats::GgufFile file = formats::parse_gguf(formats::view(bytes), limits).value();
    EXPECT_EQ(load_model(file).error().message,
              "tensor token_embd.weight is of a type that is not known");
}

// Numbers of a valid file replaced by others: a model whose program is sound, or a sentence.
TEST(Registry, MutantsEndInAModelOrASentence) {
    std::mt19937_64 random(7);
    const uint32_t interesting[] = {0, 1, 2, 3, 7, 16, 31, 33, 1u << 16, 1u << 24, 1u << 31, ~0u};
    int loaded = 0, refused = 0;
    for (const char* architecture : {"gemma3", "llama", "phi3", "qwen2", "qwen3"}) {
        Sketch whole = sketch(architecture);
        whole.keys["attention.sliding_window"] = 9u;
        whole.keys["rope.scaling.original_context_length"] = 64u;
        whole.keys["rope.scaling.factor"] = 8.0f;
        whole.keys["rope.freq_base"] = 10000.0f;
        if (whole.architecture != "phi3") whole.keys["rope.scaling.type"] = "yarn";
        ASSERT_EQ(error_of(whole), "");
        for (int i = 0; i < 120; ++i) {
            Sketch mutant = whole;
            for (uint64_t changes = 1 + random() % 2; changes > 0; --changes) {
                auto key = std::next(mutant.keys.begin(),
                                     static_cast<ptrdiff_t>(random() % mutant.keys.size()));
                const uint32_t number = interesting[random() % std::size(interesting)];
                if (random() % 4 == 0) {
                    mutant.keys.erase(key);
                } else if (std::holds_alternative<float>(key->second)) {
                    key->second = std::bit_cast<float>(static_cast<uint32_t>(random()));
                } else {
                    key->second = number;
                }
            }
            const std::string bytes = mutant.bytes();
            const formats::GgufFile file = formats::parse_gguf(formats::view(bytes)).value();
            const auto model = load_model(file);
            if (!model.ok()) {
                ++refused;
                EXPECT_FALSE(model.error().message.empty());
                continue;
            }
            ++loaded;
            const ops::Program program =
                (*model)->build_step({8, 2, 2, 4, StepShape::End::kLogits});
            const Status sound = ops::verify_program(program.view());
            EXPECT_TRUE(sound.ok()) << sound.error().message;
        }
    }
    EXPECT_GT(loaded, 30);
    EXPECT_GT(refused, 100);
}

TEST(Registry, FusedTensorsAreViewsOfTheirRows) {
    const std::string bytes = sketch("phi3").bytes();
    const formats::GgufFile file = formats::parse_gguf(formats::view(bytes)).value();
    const std::unique_ptr<Model> model = load_model(file).value();
    const auto find = [&](const std::string& name) {
        for (const WeightSpec& spec : model->weights())
            if (spec.name == name) return spec;
        ADD_FAILURE() << name;
        return WeightSpec{};
    };
    const std::span<const std::byte> qkv = file.find_tensor("blk.1.attn_qkv.weight")->bytes;
    const std::span<const std::byte> k = find("blk.1.attn_k.weight").stored_bytes();
    EXPECT_EQ(k.data(), qkv.data() + 32 * 32 * 4);
    EXPECT_EQ(k.size(), 16u * 32 * 4);
    const std::span<const std::byte> wide = file.find_tensor("blk.0.ffn_up.weight")->bytes;
    EXPECT_EQ(find("blk.0.ffn_gate.weight").stored_bytes().data(), wide.data());
    EXPECT_EQ(find("blk.0.ffn_up.weight").stored_bytes().data(), wide.data() + 48 * 32 * 4);
}

}  // namespace
}  // namespace tenon::model
