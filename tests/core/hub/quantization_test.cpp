#include "core/hub/quantization.h"

#include <gtest/gtest.h>

namespace tenon::hub {
namespace {

std::vector<RepoFile> files(std::initializer_list<const char*> names) {
    std::vector<RepoFile> list;
    for (const char* name : names)
        list.push_back({name, 10, "", ""});
    return list;
}

std::string chosen(std::initializer_list<const char*> names, const char* wanted) {
    const Result<ModelFiles> model = choose_model(group_models(files(names)), wanted, "org/repo");
    return model.ok() ? model->files.front().name : "error: " + model.error().message;
}

TEST(Quantization, ReadsTheLabelOfAName) {
    for (const auto& [name, label] : std::initializer_list<std::pair<const char*, const char*>>{
             {"SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"},
             {"model-q4_k_m.gguf", "Q4_K_M"},
             {"llama-2-7b.ggmlv3.q8_0.gguf", "Q8_0"},
             {"sub/x-IQ4_XS-00001-of-00003.gguf", "IQ4_XS"},
             {"Qwen3-8B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"},
             {"gpt-oss-20b-mxfp4.gguf", "MXFP4"},
             {"model_F16.gguf", "F16"},
             {"model-bf16.gguf", "BF16"},
             {"x-TQ1_0.gguf", "TQ1_0"},
             {"Q4-model.gguf", "Q4"},
             {"mistral.gguf", ""},
             {"Qwen2.5-0.5B.gguf", ""},
             {"bert-f16x.gguf", ""}}) {
        EXPECT_EQ(quantization_of(name), label) << name;
    }
}

TEST(Quantization, GroupsPartsOfASplitModel) {
    const std::vector<ModelFiles> models = group_models(
        files({"b-Q8_0-00002-of-00002.gguf", "a-Q4_0.gguf", "b-Q8_0-00001-of-00002.gguf",
               "mmproj-model-f16.gguf", "imatrix.gguf", "README.md", "b-Q8_0.gguf"}));
    ASSERT_EQ(models.size(), 3u);
    EXPECT_EQ(models[0].stem, "a-Q4_0");
    EXPECT_EQ(models[1].files.size(), 1u);
    ASSERT_EQ(models[2].files.size(), 2u);
    EXPECT_EQ(models[2].files[0].name, "b-Q8_0-00001-of-00002.gguf");
    EXPECT_EQ(models[2].bytes(), 20u);
    EXPECT_TRUE(models[2].is_complete());
}

TEST(Quantization, ChoosesWithoutRegardToCase) {
    EXPECT_EQ(chosen({"m-Q4_K_M.gguf", "m-Q8_0.gguf"}, "q8_0"), "m-Q8_0.gguf");
    EXPECT_EQ(chosen({"m-Q4_K_M.gguf", "m-Q8_0.gguf"}, "m-q4_k_m.GGUF"), "m-Q4_K_M.gguf");
    EXPECT_EQ(chosen({"s/m-Q4_0.gguf", "t/m-Q4_0.gguf"}, "t/m-Q4_0"), "t/m-Q4_0.gguf");
}

TEST(Quantization, DefaultsInItsOrder) {
    EXPECT_EQ(chosen({"m-F16.gguf", "m-Q8_0.gguf", "m-Q4_K_M.gguf"}, ""), "m-Q4_K_M.gguf");
    EXPECT_EQ(chosen({"m-F16.gguf", "m-Q8_0.gguf"}, ""), "m-Q8_0.gguf");
    EXPECT_EQ(chosen({"odd.gguf"}, ""), "odd.gguf");
}

TEST(Quantization, SaysWhatThereIs) {
    EXPECT_EQ(chosen({"m-Q4_0.gguf", "m-Q8_0.gguf"}, "Q5_0"),
              "error: org/repo has no 'Q5_0'; it has: Q4_0, Q8_0");
    EXPECT_NE(chosen({"a-Q4_K_M.gguf", "b-Q4_K_M.gguf"}, "Q4_K_M").find("a-Q4_K_M, b-Q4_K_M"),
              std::string::npos);
    EXPECT_NE(chosen({"a.gguf", "b.gguf"}, "").find("several models"), std::string::npos);
    EXPECT_NE(chosen({"a-Q4_0-00001-of-00003.gguf"}, "").find("1 of the 3 parts"),
              std::string::npos);
    EXPECT_NE(chosen({"README.md"}, "").find("has no .gguf file"), std::string::npos);
}

}  // namespace
}  // namespace tenon::hub
