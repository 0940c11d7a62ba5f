// Every field of the configuration as data: what `config schema`, `config explain` and shells show.
#pragma once

#include "core/config/fields.h"
#include "core/config/serve_config.h"

#include <string>
#include <string_view>
#include <vector>

namespace tenon::config {

struct FieldInfo {
    std::string key;   // dotted: "limits.n"
    std::string type;  // for people: "whole number", "time", "list of texts"
    Constraint limit;
    const char* text = "";  // one sentence
    std::string value;      // as YAML on one line
};

// The fields of `config` with their values, in order of declaration, those of sections flattened.
std::vector<FieldInfo> list_fields(const ServeConfig& config);
// The field of `list` with this key; null when there is none.
const FieldInfo* find_field(const std::vector<FieldInfo>& list, std::string_view key);
// The limits in words: "0 to 1024 tokens", "one of a, b"; empty when there are none.
std::string limits_text(const FieldInfo& field);

// JSON Schema 2020-12 of a configuration file, indented by two spaces, with a final newline.
std::string json_schema();

}  // namespace tenon::config
