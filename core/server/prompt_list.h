// Prompts as text or token ids, one or many: a string, ids, strings, or lists of ids.
#pragma once

#include "core/server/field_reader.h"
#include "core/server/service.h"

#include <string>
#include <vector>

namespace tenon::server {

struct Prompt {
    std::string text;  // of ids: what they spell
    std::vector<int32_t> ids;
};

// Slow: tokenizes. `name` must be there and hold 1 to `count_max` prompts. Special tokens in text
// are read as such, as on OpenAI's endpoint.
std::vector<Prompt> read_prompts(FieldReader& fields, const char* name, const Service& service,
                                 size_t count_max);

}  // namespace tenon::server
