// YAML text -> configuration and back, with every mistake reported at its place.
#pragma once

#include "core/base/result.h"
#include "core/config/fields.h"
#include "core/config/serve_config.h"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::config {

// Limits of a configuration file.
struct YamlLimits {
    size_t bytes = 1 << 20;
    size_t depth = 32;
    size_t nodes = 100000;
    size_t aliases = 100;
};

// Where the value of a field came from: dotted name -> "file:line", "$VARIABLE" or "--flag". A field
// that is not in it has its default.
using Origins = std::map<std::string, std::string, std::less<>>;

// One mistake of a file. Line and column count from 1, the column in bytes; 0: of the whole file.
struct Mistake {
    size_t line = 0, column = 0;
    std::string sentence;
    std::string excerpt;  // the source line and a caret below it, without a newline at the end

    // "file:line:column: sentence" and the excerpt.
    std::string to_text(const std::string& file) const;
};

// Fills the fields that `text` names; others keep their value. `file` is for messages. On error
// `config` is untouched and the kConfig message lists every mistake, each as
// "file:line:column: sentence", the source line and a caret. Unknown keys (with the nearest known
// one), duplicate keys, wrong types and values out of range are mistakes, in nested maps as well. What
// is no YAML at all ends the reading: it is the last mistake. `origins` gets each field that the file
// sets; null: nobody asks.
Status read_yaml(std::string_view text, const std::string& file, EngineConfig& config,
                 Origins* origins = nullptr);
Status read_yaml(std::string_view text, const std::string& file, ServeConfig& config,
                 Origins* origins = nullptr);

// What is wrong with a plugin's section, or with one option in it.
struct PluginMistake {
    std::string plugin;     // empty: of no section
    std::string key;        // empty: of the section
    bool is_value = false;  // the caret stands below the value, else below the name
    std::string sentence;
};
// Judges EngineConfig::plugins. Gets what could be read of a file, which may have other mistakes.
using PluginCheck = std::function<std::vector<PluginMistake>(const EngineConfig&)>;

// The same, where each mistake is wanted for itself, in the order of the file; none: `config` was
// filled. Null `check`: the options of plugins are taken as they are.
std::vector<Mistake> find_mistakes(std::string_view text, const std::string& file,
                                   EngineConfig& config, Origins* origins = nullptr,
                                   const PluginCheck& check = {});
std::vector<Mistake> find_mistakes(std::string_view text, const std::string& file,
                                   ServeConfig& config, Origins* origins = nullptr,
                                   const PluginCheck& check = {});

// Sets one field from text, as a flag or an environment variable gives it: "key", "section.key" or
// "backend.option" for a plugin's own. `origin` names where it came from, for messages.
Status set_field(EngineConfig& config, std::string_view key, std::string_view value,
                 const std::string& origin);
Status set_field(ServeConfig& config, std::string_view key, std::string_view value,
                 const std::string& origin);

// The whole configuration, every limit included, as YAML that read_yaml takes back.
std::string to_yaml(const ServeConfig& config);

}  // namespace tenon::config
