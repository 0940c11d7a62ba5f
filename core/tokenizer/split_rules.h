// The split rules that exist, by the names that converters write into GGUF files.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace tenon::tokenizer {

// How a set of rules cuts is said in pretokenizer.h.
struct SplitRules {
    static constexpr size_t kStagesMax = 6;

    std::array<const char*, kStagesMax> stages{};  // regular expressions of PCRE2; null: no more
    bool ignores_merges = false;                   // a word that is a token is taken whole
    bool adds_bos = false;  // models of this family begin with BOS when their file is silent
};

// Null: no rules have this name. An empty name is "default". Lives as long as the program.
const SplitRules* find_split_rules(std::string_view name) noexcept;

// All names, comma-separated.
std::string split_rule_names();

}  // namespace tenon::tokenizer
