// The file of what a user calls a model, for every verb that takes one.
#pragma once

#include "core/base/result.h"
#include "core/hub/places.h"
#include "core/hub/pull.h"

#include <string>
#include <string_view>

namespace tenon::cli {

// Help of a positional MODEL.
inline constexpr const char* kModelHelp =
    "a .gguf file, a name of 'tenon models', or org/repo[:QUANT]";

// Its path. Never asks the network: kConfig says `tenon pull X` for what was not fetched.
Result<std::string> find_model_file(const std::string& text);

// Fetches with a bar, through the proxies that the environment names; Ctrl+C ends it with kCancelled.
Result<hub::Pulled> pull_model(std::string_view verb, const std::string& text,
                               const hub::Places& places, hub::PullOptions options);

// What `tenon run` does first: a name that was not fetched yet is pulled where a person watches (a
// terminal on standard input and standard error) and HF_HUB_OFFLINE is not set; else nothing.
Status fetch_if_missing(std::string_view verb, const std::string& text);

}  // namespace tenon::cli
