#include "core/engine/loaded_model.h"

#include "core/engine/device.h"
#include "core/formats/gguf_vocabulary.h"
#include "core/model/registry.h"

#include <fmt/format.h>

namespace tenon::engine {

namespace {

Result<LoadedModel> assemble(formats::LoadedGguf source) {
    const formats::GgufFile& gguf = source.gguf;
    TENON_TRY(std::unique_ptr<model::Model> model, model::load_model(gguf));
    TENON_TRY(const tokenizer::Vocabulary vocabulary, formats::parse_vocabulary(gguf));
    TENON_TRY(tokenizer::Tokenizer tokenizer, tokenizer::Tokenizer::create(vocabulary));
    const uint32_t logits = model->config().vocab_size;
    if (static_cast<uint32_t>(tokenizer.size()) != logits) {
        return Error{Code::kData,
                     fmt::format("the tokenizer has {} tokens, the logits have {}; they "
                                 "must agree",
                                 tokenizer.size(), logits)};
    }
    std::optional<chat_template::ChatTemplate> chat;
    if (gguf.find("tokenizer.chat_template") != nullptr) {
        TENON_TRY(const std::string_view text, gguf.get_string("tokenizer.chat_template"));
        Result<chat_template::ChatTemplate> parsed =
            chat_template::ChatTemplate::parse(std::string(text));
        if (!parsed.ok()) return std::move(parsed).error().within("tokenizer.chat_template");
        chat = std::move(parsed).value();
    }
    return LoadedModel{std::move(source), std::move(model), std::move(tokenizer), std::move(chat)};
}

}  // namespace

Result<LoadedModel> LoadedModel::open(const std::string& path, const config::EngineConfig& config) {
    TENON_TRY(formats::FormatTable table, find_formats(config));
    TENON_TRY(formats::LoadedGguf source, formats::load_gguf(path, {}, std::move(table)));
    Result<LoadedModel> loaded = assemble(std::move(source));
    if (!loaded.ok()) return std::move(loaded).error().within(path);
    return loaded;
}

}  // namespace tenon::engine
