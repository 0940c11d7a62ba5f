#include "core/engine/loaded_model.h"

#include "tests/core/engine/tiny.h"

#include <cstring>

namespace tenon::engine {
namespace {

const std::string kFile = tiny::path("llama3-tied-f32.gguf");

// Opens `bytes` as a file; the error without the path in front of it.
std::string error_of(const std::vector<char>& bytes) {
    const tiny::ScratchFile file("mutant.gguf", bytes);
    const Result<LoadedModel> model = LoadedModel::open(file.path());
    if (model.ok()) return "";
    const std::string& message = model.error().message;
    EXPECT_EQ(message.find(file.path() + ": "), 0u) << message;
    return message.substr(std::min(message.size(), file.path().size() + 2));
}

// Where `text` stands for the first time.
size_t find(const std::vector<char>& bytes, std::string_view text) {
    return std::string_view(bytes.data(), bytes.size()).find(text);
}

// Replaces the chat template by `text`, blanks behind it.
std::vector<char> with_template(std::string text) {
    std::vector<char> bytes = tiny::read_bytes(kFile);
    const std::string key = "tokenizer.chat_template";
    const size_t at = find(bytes, key) + key.size() + 4;  // past the type
    uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, 8);
    EXPECT_LE(text.size(), length);
    text.resize(length, ' ');
    std::memcpy(bytes.data() + at + 8, text.data(), length);
    return bytes;
}

TEST(LoadedModel, OpensFileTokenizerAndTemplate) {
    const Result<LoadedModel> model = LoadedModel::open(kFile);
    ASSERT_OK(model);
    EXPECT_EQ(model->model->config().vocab_size, tiny::kVocabulary);
    EXPECT_EQ(static_cast<uint32_t>(model->tokenizer.size()), tiny::kVocabulary);
    EXPECT_TRUE(model->chat_template.has_value());
}

TEST(LoadedModel, RefusesAnEmbeddingOfAnotherSizeThanTheFileSays) {
    std::vector<char> bytes = tiny::read_bytes(kFile);
    const std::string name = "token_embd.weight";
    const size_t dims = find(bytes, name) + name.size() + 4;  // past their number
    uint64_t rows = 0;
    std::memcpy(&rows, bytes.data() + dims + 8, 8);
    ASSERT_EQ(rows, tiny::kVocabulary);
    rows = 256;
    std::memcpy(bytes.data() + dims + 8, &rows, 8);
    const std::string message = error_of(bytes);
    EXPECT_NE(message.find("288"), std::string::npos) << message;
    EXPECT_NE(message.find("256"), std::string::npos) << message;
}

// Puts `element` in front of the array `key`.
void prepend(std::vector<char>& bytes, const std::string& key, const std::string& element) {
    const size_t count_at = find(bytes, key) + key.size() + 8;  // past type and element type
    uint64_t count = 0;
    std::memcpy(&count, bytes.data() + count_at, 8);
    ++count;
    std::memcpy(bytes.data() + count_at, &count, 8);
    bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(count_at + 8), element.begin(),
                 element.end());
}

TEST(LoadedModel, RefusesATokenizerOfAnotherSizeThanTheLogits) {
    // 28 bytes of token and 4 of type: the data behind them stays aligned to 32.
    std::vector<char> bytes = tiny::read_bytes(kFile);
    prepend(bytes, "tokenizer.ggml.tokens",
            std::string("\x14\0\0\0\0\0\0\0", 8) + std::string(20, 'q'));
    prepend(bytes, "tokenizer.ggml.token_type", std::string("\x01\0\0\0", 4));
    EXPECT_EQ(error_of(bytes),
              "the tokenizer has 289 tokens, the logits have 288; they must agree");
}

TEST(LoadedModel, RefusesAFileCutAnywhere) {
    const std::vector<char> bytes = tiny::read_bytes(kFile);
    for (size_t size = 1; size < bytes.size(); size += 1 + size / 3) {
        const std::string message =
            error_of({bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)});
        EXPECT_NE(message.find("truncated"), std::string::npos) << size << ": " << message;
    }
}

TEST(LoadedModel, RefusesATemplateThatNestsTooDeeply) {
    const std::string message = error_of(with_template("{{ " + std::string(190, '(')));
    EXPECT_EQ(message.find("tokenizer.chat_template: "), 0u) << message;
}

TEST(LoadedModel, ATemplateBombEndsWhenItIsRendered) {
    const tiny::ScratchFile file(
        "bomb.gguf", with_template("{% for i in range(99999) %}{{ 'x' * 99999 }}{% endfor %}"));
    const Result<LoadedModel> model = LoadedModel::open(file.path());
    ASSERT_OK(model);
    ASSERT_TRUE(model->chat_template.has_value());
    const std::vector<chat_template::Message> messages = {{"user", "hi"}};
    EXPECT_FALSE(model->chat_template->render(messages, {}).ok());
}

TEST(LoadedModel, ErrorsOfTheFileNameIt) {
    const Result<LoadedModel> model = LoadedModel::open("/nonexistent/model.gguf");
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.error().message,
              "cannot open /nonexistent/model.gguf: No such file or directory");
}

}  // namespace
}  // namespace tenon::engine
