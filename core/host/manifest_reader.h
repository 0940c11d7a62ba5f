// Typed values out of the nodes of a manifest; every refusal is one sentence with file and line.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace tenon::host {

// Thread-compatible. yaml-cpp may throw out of every function; parse_manifest catches.
class ManifestReader {
public:
    // `where` names the manifest in messages.
    explicit ManifestReader(std::string where) : where_(std::move(where)) {}

    // "plugin.yaml:12", or without a line where the node is absent.
    std::string place(const YAML::Node& node) const;
    Error error(const YAML::Node& node, const std::string& sentence) const;

    // kInvalid unless every key of `map` is among `known`, once.
    Status check_keys(const YAML::Node& map, const char* what,
                      std::initializer_list<std::string_view> known) const;

    // The value of a key that must be there.
    Result<std::string> text(const YAML::Node& map, const char* key, size_t bytes_max) const;
    Result<int64_t> integer(const YAML::Node& map, const char* key, int64_t least,
                            int64_t most) const;
    // The same, where an absent key means `fallback`.
    Result<int64_t> integer_or(const YAML::Node& map, const char* key, int64_t least, int64_t most,
                               int64_t fallback) const;
    Result<bool> flag_or(const YAML::Node& map, const char* key, bool fallback) const;
    // A list of words, each of 1 to 64 bytes; empty when the key is absent.
    Result<std::vector<std::string>> texts(const YAML::Node& map, const char* key) const;
    // A list of exactly `count` finite numbers.
    Result<std::vector<float>> floats(const YAML::Node& map, const char* key, size_t count) const;

private:
    std::string where_;
};

}  // namespace tenon::host
