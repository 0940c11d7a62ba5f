#include "core/tokenizer/known_tokens.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

namespace tenon::tokenizer {
namespace {

using Place = std::optional<int32_t> KnownTokens::*;
using Texts = std::array<std::string_view, 11>;  // empty ones at the end are none

// A part, the key that may name its token, and texts that published models use for it. A token found
// by its text steers the model.
struct Role {
    Place place;
    const char* name;
    std::optional<int64_t> Vocabulary::*key;
    bool ends;  // a generation
    Texts texts;
};

constexpr Role kRoles[] = {
    {&KnownTokens::end_of_turn,
     "EOT",
     &Vocabulary::eot,
     true,
     {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>",
      "<EOT>", "_<EOT>", "[EOT]", "<\uFF5Cend\u2581of\u2581sentence\uFF5C>", "<end_of_utterance>"}},
    {&KnownTokens::end_of_message, "EOM", &Vocabulary::eom, true, {"<|eom_id|>"}},
    {&KnownTokens::fim_prefix,
     "FIM prefix",
     &Vocabulary::fim_prefix,
     false,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\uFF5Cfim\u2581begin\uFF5C>", "<PRE>",
      "\u2581<PRE>", "<|code_prefix|>", "<|prefix|>"}},
    {&KnownTokens::fim_suffix,
     "FIM suffix",
     &Vocabulary::fim_suffix,
     false,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\uFF5Cfim\u2581hole\uFF5C>", "<SUF>",
      "\u2581<SUF>", "<|code_suffix|>", "<|suffix|>"}},
    {&KnownTokens::fim_middle,
     "FIM middle",
     &Vocabulary::fim_middle,
     false,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<\uFF5Cfim\u2581end\uFF5C>", "<MID>",
      "\u2581<MID>", "<|code_middle|>", "<|middle|>"}},
    {&KnownTokens::fim_pad,
     "FIM padding",
     &Vocabulary::fim_pad,
     true,
     {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {&KnownTokens::fim_repo,
     "FIM repository",
     &Vocabulary::fim_repo,
     true,
     {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {&KnownTokens::fim_separator,
     "FIM file separator",
     &Vocabulary::fim_separator,
     true,
     {"<|file_sep|>"}},
};

// Texts of tokens that end a generation in models whose files name one EOS where they use several.
constexpr std::string_view kEnds[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
    "[e~[",
};

// Parts of an answer that must be seen: they are text taken whole, not control.
constexpr std::string_view kShown[] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};

struct ToolRole {
    Place place;
    Texts texts;
};

constexpr ToolRole kToolRoles[] = {
    {&KnownTokens::tool_calls_begin,
     {"<tool_call>", "<|tool_call|>", "[TOOL_CALLS]", "<|python_tag|>",
      "<\uFF5Ctool\u2581calls\u2581begin\uFF5C>", "<|tool_call_start|>"}},
    {&KnownTokens::tool_calls_end,
     {"</tool_call>", "<|/tool_call|>", "<\uFF5Ctool\u2581calls\u2581end\uFF5C>",
      "<|tool_call_end|>"}},
    {&KnownTokens::tool_results_begin,
     {"<tool_response>", "<|tool_response|>", "[TOOL_RESULTS]",
      "<\uFF5Ctool\u2581outputs\u2581begin\uFF5C>", "<|tool_response_start|>"}},
    {&KnownTokens::tool_results_end,
     {"</tool_response>", "<|/tool_response|>", "[/TOOL_RESULTS]",
      "<\uFF5Ctool\u2581outputs\u2581end\uFF5C>", "<|tool_response_end|>"}},
};

std::optional<int32_t> find_first(const TokenList& tokens, const Texts& texts) {
    for (const std::string_view text : texts) {
        const int32_t id = tokens.table.find(text);
        if (id >= 0) return id;
    }
    return std::nullopt;
}

// Where one family uses a text for something else than all others do.
void make_exceptions(TokenList& tokens, std::vector<int32_t>& end) {
    const auto id_at_end = [&](std::string_view text) {
        const int32_t id = tokens.table.find(text);
        return id >= 0 && std::find(end.begin(), end.end(), id) != end.end() ? id : -1;
    };
    const auto spare = [&](int32_t id, TokenType type) {
        std::erase(end, id);
        tokens.types[static_cast<size_t>(id)] = type;
    };
    // Harmony formats: <|end|> ends a message, not the answer.
    const bool calls = id_at_end("<|call|>") >= 0 || id_at_end("<|calls|>") >= 0;
    const bool returns = id_at_end("<|return|>") >= 0 || id_at_end("<|flush|>") >= 0;
    const int32_t message_end = id_at_end("<|end|>");
    if (calls && returns && message_end >= 0) spare(message_end, TokenType::kUserDefined);
    // There </s> is the end tag of struck text.
    const int32_t struck = id_at_end("</s>");
    if (id_at_end("<|tool_response>") >= 0 && struck >= 0) spare(struck, TokenType::kNormal);
}

}  // namespace

Result<std::optional<int32_t>> check_id(const TokenList& tokens, const char* name,
                                        std::optional<int64_t> id) {
    if (!id) return std::optional<int32_t>();
    if (*id < 0 || *id >= tokens.size()) {
        return Error{Code::kInvalid,
                     fmt::format("the {} id is {}; ids of this vocabulary are 0 to {}", name, *id,
                                 tokens.size() - 1)};
    }
    return std::optional(static_cast<int32_t>(*id));
}

Status find_known_tokens(const Vocabulary& vocabulary, TokenList& tokens, KnownTokens& known,
                         std::vector<int32_t>& end) {
    const auto steers = [&](int32_t id) {
        tokens.types[static_cast<size_t>(id)] = TokenType::kControl;
    };
    for (const Role& role : kRoles) {
        TENON_TRY(known.*role.place, check_id(tokens, role.name, vocabulary.*role.key));
        if (!(known.*role.place)) {
            known.*role.place = find_first(tokens, role.texts);
            if (known.*role.place) steers(*(known.*role.place));
        }
        if (role.ends && known.*role.place) end.push_back(*(known.*role.place));
    }
    for (const std::string_view text : kEnds) {
        const int32_t id = tokens.table.find(text);
        if (id < 0) continue;
        steers(id);
        end.push_back(id);
    }
    for (const std::string_view text : kShown) {
        const int32_t id = tokens.table.find(text);
        if (id >= 0) tokens.types[static_cast<size_t>(id)] = TokenType::kUserDefined;
    }
    make_exceptions(tokens, end);
    for (const ToolRole& role : kToolRoles)
        known.*role.place = find_first(tokens, role.texts);
    for (const int64_t id : vocabulary.eog) {
        TENON_TRY(const std::optional<int32_t> further, check_id(tokens, "end-of-generation", id));
        end.push_back(*further);
    }
    return {};
}

}  // namespace tenon::tokenizer
