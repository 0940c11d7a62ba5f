// A model file opened whole: sizes, tokenizer and chat template. Weights stay in the file.
#pragma once

#include "core/chat_template/template.h"
#include "core/config/fields.h"
#include "core/formats/gguf.h"
#include "core/model/model.h"
#include "core/tokenizer/tokenizer.h"

#include <memory>
#include <optional>
#include <string>

namespace tenon::engine {

// Move-only. Thread-compatible.
struct LoadedModel {
    // Opens and checks the model at `path`, a file or any part of a split one; every error names the
    // file. Formats are the built-in ones and those of find_formats(config). kData when tokenizer
    // and logits disagree on the number of tokens.
    static Result<LoadedModel> open(const std::string& path,
                                    const config::EngineConfig& config = {});

    formats::LoadedGguf source;  // outlives the weight sets made from it: they know its formats
    std::unique_ptr<model::Model> model;  // views `source`
    tokenizer::Tokenizer tokenizer;
    std::optional<chat_template::ChatTemplate> chat_template;
};

}  // namespace tenon::engine
