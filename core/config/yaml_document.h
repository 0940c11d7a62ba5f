// A YAML text under limits, and the list of what is wrong with it: what every reader of a YAML file
// of ours begins with.
#pragma once

#include "core/config/yaml.h"

#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>
#include <vector>

namespace tenon::config {

// One document of at most YamlLimits. Where it is no YAML, or more than the limits allow, it has one
// mistake and a null root.
class YamlDocument {
public:
    explicit YamlDocument(std::string_view text);

    const YAML::Node& root() const noexcept { return root_; }
    // Adds what is wrong at a place; a null mark means the first line.
    void mistake(const YAML::Mark& mark, const std::string& sentence);
    const std::vector<Mistake>& mistakes() const noexcept { return mistakes_; }

private:
    bool mistake_of_bytes(std::string_view text);
    bool mistake_of_tab(const YAML::Mark& mark);

    std::vector<std::string> lines_;
    YAML::Node root_;
    std::vector<Mistake> mistakes_;
};

// "'x' is not an option", with the near one of `known`, or all of them.
std::string unknown_key(std::string_view key, const std::vector<std::string>& known);

}  // namespace tenon::config
