#include "core/quantize/tensor_plan.h"

#include <gtest/gtest.h>

#include "tests/core/formats/gguf_builder.h"

namespace tenon::quantize {
namespace {

using formats::GgufBuilder;

// Two layers, tied; columns of 256, of 64 and of 20.
std::string model(const char* format = "f32") {
    GgufBuilder file;
    file.text("general.architecture", "llama").number("llama.block_count", 2u);
    file.number("llama.attention.head_count", 8u).number("llama.attention.head_count_kv", 2u);
    file.tensor("token_embd.weight", format, {256, 4});
    for (const std::string layer : {"blk.1.", "blk.0."}) {
        file.tensor(layer + "attn_norm.weight", "f32", {256});
        file.tensor(layer + "attn_v.weight", format, {256, 2});
        file.tensor(layer + "attn_q.weight", format, {64, 2});
        file.tensor(layer + "ffn_norm.weight", "f32", {256, 1});
        file.tensor(layer + "ffn_down.weight", format, {256, 2});
    }
    file.tensor("blk.0.odd.weight", "f32", {20, 3}).tensor("rope_freqs.weight", "f32", {32});
    return file.bytes();
}

Result<Plan> plan(const std::string& bytes, const Request& request) {
    static const formats::FormatTable table;
    static std::vector<std::unique_ptr<formats::GgufFile>> files;  // plans point into them
    Result<formats::GgufFile> file = formats::parse_gguf(formats::view(bytes));
    EXPECT_TRUE(file.ok());
    files.push_back(std::make_unique<formats::GgufFile>(std::move(*file)));
    return plan_tensors(*files.back(), table, request);
}

std::string target(const Plan& plan, std::string_view name) {
    for (const TensorPlan& tensor : plan.tensors)
        if (tensor.tensor->name == name)
            return std::string(tensor.is_copied ? "=" : "") + std::string(tensor.target->name);
    return "absent";
}

TEST(TensorPlan, FollowsTheMixtureAndFallsBackWhereColumnsDoNotFit) {
    const std::string bytes = model();
    const Result<Plan> done = plan(bytes, {.format = "q2_k"});
    ASSERT_TRUE(done.ok()) << done.error().message;
    EXPECT_EQ(done->file_type, 10u);
    EXPECT_EQ(target(*done, "token_embd.weight"), "q6_k");
    EXPECT_EQ(target(*done, "blk.0.attn_v.weight"), "q4_k");  // four query heads to a key head
    EXPECT_EQ(target(*done, "blk.0.attn_q.weight"), "q4_0");
    EXPECT_EQ(target(*done, "blk.0.ffn_down.weight"), "q3_k");
    EXPECT_EQ(target(*done, "blk.0.attn_norm.weight"), "=f32");
    EXPECT_EQ(target(*done, "blk.0.ffn_norm.weight"), "=f32");
    EXPECT_EQ(target(*done, "rope_freqs.weight"), "=f32");
    EXPECT_EQ(target(*done, "blk.0.odd.weight"), "f16");
    for (const TensorPlan& tensor : done->tensors)
        if (tensor.tensor->name == "blk.1.attn_q.weight") {
            EXPECT_EQ(tensor.note, "q4_0 instead of q2_k: 64 columns are no multiple of 256");
        }
}

TEST(TensorPlan, CountsLayersByTheirNumberNotByTheirPlace) {
    const std::string bytes = model();
    const Result<Plan> done = plan(bytes, {.format = "q3_k_m"});
    ASSERT_TRUE(done.ok());
    EXPECT_EQ(target(*done, "blk.0.attn_v.weight"), "q5_k");
    GgufBuilder three;
    three.text("general.architecture", "llama").number("llama.block_count", 3u);
    for (const char* layer : {"blk.2.", "blk.1.", "blk.0."})
        three.tensor(std::string(layer) + "attn_v.weight", "f32", {256, 2});
    const std::string more = three.bytes();
    const Result<Plan> third = plan(more, {.format = "q3_k_m"});
    ASSERT_TRUE(third.ok());
    EXPECT_EQ(target(*third, "blk.1.attn_v.weight"), "q5_k");
    EXPECT_EQ(target(*third, "blk.2.attn_v.weight"), "q4_k");
}

TEST(TensorPlan, PureAndOverrides) {
    const std::string bytes = model();
    const Result<Plan> pure = plan(bytes, {.format = "gguf.q2_k/0", .pure = true});
    ASSERT_TRUE(pure.ok()) << pure.error().message;
    EXPECT_EQ(target(*pure, "token_embd.weight"), "q2_k");
    EXPECT_FALSE(pure->has_file_type);
    const Result<Plan> over =
        plan(bytes, {.format = "Q4_0",
                     .overrides = {"blk.1.attn_?.weight=q8_0", "attn_v=f16", "token_embd=Q5_0"}});
    ASSERT_TRUE(over.ok()) << over.error().message;
    EXPECT_EQ(target(*over, "blk.1.attn_v.weight"), "q8_0");
    EXPECT_EQ(target(*over, "blk.0.attn_v.weight"), "f16");
    EXPECT_EQ(target(*over, "blk.0.attn_q.weight"), "q4_0");
    EXPECT_EQ(target(*over, "token_embd.weight"), "q5_0");
}

TEST(TensorPlan, RefusesWhatItCannotMean) {
    const std::string bytes = model();
    const auto message = [&](const Request& request) {
        const Result<Plan> refused = plan(bytes, request);
        return refused.ok() ? std::string("accepted") : refused.error().message;
    };
    EXPECT_EQ(message({.format = "q9"}).substr(0, 37), "there is no format 'q9'; there are f3");
    EXPECT_NE(message({.format = "q9"}).find("q4_k_m"), std::string::npos);
    EXPECT_EQ(message({.format = "q4_0", .overrides = {"attn_v"}}),
              "--tensor-type attn_v: expected PATTERN=FORMAT");
    EXPECT_EQ(message({.format = "q4_0", .overrides = {"attn_w=q8_0"}}),
              "--tensor-type attn_w=q8_0: no weight has such a name");
    const std::string lossy = model("q4_1");
    const Result<Plan> refused = plan(lossy, {.format = "q4_0"});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Code::kUnsupported);
    EXPECT_NE(refused.error().message.find("--allow-requantize"), std::string::npos);
    EXPECT_TRUE(plan(lossy, {.format = "q4_0", .allow_requantize = true}).ok());
    // The same format is copied, whatever it lost.
    EXPECT_TRUE(plan(lossy, {.format = "q4_1", .pure = true}).ok());
}

}  // namespace
}  // namespace tenon::quantize
