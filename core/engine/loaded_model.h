// A model file opened whole: sizes, tokenizer and chat template. Weights stay in the file.
#pragma once

#include "core/chat_template/template.h"
#include "core/formats/gguf.h"
#include "core/model/model.h"
#include "core/tokenizer/tokenizer.h"

#include <memory>
#include <optional>
#include <string>

namespace tenon::engine {

// Move-only. Thread-compatible.
struct LoadedModel {
    // Opens and checks the file at `path`; every error starts with the path. kData when tokenizer
    // and logits disagree on the number of tokens.
    static Result<LoadedModel> open(const std::string& path);

    formats::LoadedGguf source;
    std::unique_ptr<model::Model> model;  // views `source`
    tokenizer::Tokenizer tokenizer;
    std::optional<chat_template::ChatTemplate> chat_template;
};

}  // namespace tenon::engine
