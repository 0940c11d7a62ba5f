#include "core/quantize/file_type.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/formats/format_list.h"

namespace tenon::quantize {
namespace {

TEST(FileType, EveryNameMeansFormatsThatExist) {
    std::set<uint32_t> numbers;
    for (const FileType& type : file_types()) {
        EXPECT_TRUE(numbers.insert(type.number).second) << type.name;
        EXPECT_NE(formats::find_format(type.format), nullptr) << type.name;
        EXPECT_EQ(find_file_type(type.name), &type);
        for (const MixtureRule& rule : type.rules)
            EXPECT_NE(formats::find_format(rule.format), nullptr) << type.name;
    }
    EXPECT_EQ(find_file_type("Q4_K_M")->number, 15u);
    EXPECT_EQ(find_file_type("q4_k"), find_file_type("q4_k_m"));
    EXPECT_EQ(find_file_type("q4_k_x"), nullptr);
    EXPECT_EQ(fallback_of("q4_k"), "q5_0");
    EXPECT_EQ(fallback_of("q4_0"), "");
}

TEST(FileType, RolesComeFromNames) {
    EXPECT_EQ(role_of("output.weight", false), Role::kOutput);
    EXPECT_EQ(role_of("token_embd.weight", true), Role::kOutput);
    EXPECT_EQ(role_of("token_embd.weight", false), Role::kEmbedding);
    EXPECT_EQ(role_of("blk.3.attn_qkv.weight", true), Role::kAttnV);
    EXPECT_EQ(role_of("blk.3.ffn_down_exps.weight", true), Role::kFfnDown);
    EXPECT_EQ(role_of("blk.3.something.weight", true), Role::kOther);
}

// What llama-quantize gives the layers of a model with 32 layers, as a letter each.
std::string layers(const char* type, Role role, const ModelFacts& model) {
    std::string out;
    for (uint32_t i = 0; i < model.layers; ++i)
        out += choose_format(*find_file_type(type), model, {role, i, model.layers, false})[1];
    return out;
}

TEST(FileType, MixturesGiveMoreBitsWhereTheyAreWorthIt) {
    const ModelFacts model{32, 0, 4, false};
    EXPECT_EQ(layers("q4_k_m", Role::kFfnDown, model), "66664464464464464464464464466666");
    EXPECT_EQ(layers("q4_k_s", Role::kAttnV, model), "55554444444444444444444444444444");
    EXPECT_EQ(layers("q3_k_m", Role::kAttnV, model), "55444444444444444444444444444444");
    EXPECT_EQ(layers("q3_k_m", Role::kFfnDown, model), "55444444444444444444444444444444");
    EXPECT_EQ(layers("q6_k", Role::kFfnDown, model), std::string(32, '6'));
    const FileType& q2 = *find_file_type("q2_k");
    EXPECT_EQ(choose_format(q2, model, {Role::kAttnV, 9, 32, false}), "q4_k");
    EXPECT_EQ(choose_format(q2, {32, 0, 1, false}, {Role::kAttnV, 9, 32, false}), "q3_k");
    EXPECT_EQ(choose_format(q2, {32, 8, 4, false}, {Role::kAttnV, 9, 32, false}), "q8_0");
    EXPECT_EQ(choose_format(q2, {80, 0, 8, true}, {Role::kAttnV, 9, 80, false}), "q5_k");
    EXPECT_EQ(choose_format(q2, model, {Role::kOutput, 0, 1, false}), "q6_k");
    const FileType& moe = *find_file_type("mxfp4_moe");
    EXPECT_EQ(choose_format(moe, model, {Role::kFfnDown, 0, 1, true}), "mxfp4");
    EXPECT_EQ(choose_format(moe, model, {Role::kFfnDown, 0, 1, false}), "q8_0");
}

}  // namespace
}  // namespace tenon::quantize
