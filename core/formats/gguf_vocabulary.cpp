#include "core/formats/gguf_vocabulary.h"

#include <cstring>
#include <optional>
#include <string>

#include <fmt/format.h>

namespace tenon::formats {
namespace {

constexpr const char* kTokens = "tokenizer.ggml.tokens";

Status read_id(const GgufFile& file, std::string_view key, std::optional<int64_t>& id) {
    if (!file.find(key)) return {};
    TENON_TRY(id, file.get_i64(key));
    return {};
}

Status read_flag(const GgufFile& file, std::string_view key, std::optional<bool>& flag) {
    if (!file.find(key)) return {};
    TENON_TRY(flag, file.get_bool(key));
    return {};
}

Status read_strings(const GgufFile& file, std::string_view key, uint64_t count_max,
                    std::vector<std::string_view>& out) {
    TENON_TRY(const GgufStrings strings, file.get_strings(key));
    if (strings.size() > count_max)
        return Error{Code::kInvalid, fmt::format("key {} has {} entries, the limit is {}", key,
                                                 strings.size(), count_max)};
    out.reserve(strings.size());
    for (const std::string_view text : strings)
        out.push_back(text);
    return {};
}

// One number per token, or nothing when the key is absent.
template <class T, class Stored>
Status read_per_token(const GgufFile& file, std::string_view key, size_t token_count,
                      std::vector<T>& out) {
    static_assert(sizeof(T) == sizeof(Stored));
    if (!file.find(key)) return {};
    TENON_TRY(const GgufArray<Stored> array, file.get_array<Stored>(key));
    if (array.size() != token_count)
        return Error{Code::kInvalid, fmt::format("key {} has {} entries; {} has {}", key,
                                                 array.size(), kTokens, token_count)};
    out.resize(token_count);
    for (size_t i = 0; i < token_count; ++i)
        out[i] = static_cast<T>(array[i]);
    return {};
}

using tokenizer::Vocabulary;

struct IdKey {
    const char* key;
    std::optional<int64_t> Vocabulary::*place;
};

// The last three are what older files call the keys of the same place.
constexpr IdKey kIdKeys[] = {
    {"tokenizer.ggml.bos_token_id", &Vocabulary::bos},
    {"tokenizer.ggml.eos_token_id", &Vocabulary::eos},
    {"tokenizer.ggml.eot_token_id", &Vocabulary::eot},
    {"tokenizer.ggml.eom_token_id", &Vocabulary::eom},
    {"tokenizer.ggml.unknown_token_id", &Vocabulary::unk},
    {"tokenizer.ggml.seperator_token_id", &Vocabulary::sep},
    {"tokenizer.ggml.padding_token_id", &Vocabulary::pad},
    {"tokenizer.ggml.fim_pre_token_id", &Vocabulary::fim_prefix},
    {"tokenizer.ggml.fim_suf_token_id", &Vocabulary::fim_suffix},
    {"tokenizer.ggml.fim_mid_token_id", &Vocabulary::fim_middle},
    {"tokenizer.ggml.fim_pad_token_id", &Vocabulary::fim_pad},
    {"tokenizer.ggml.fim_rep_token_id", &Vocabulary::fim_repo},
    {"tokenizer.ggml.fim_sep_token_id", &Vocabulary::fim_separator},
    {"tokenizer.ggml.prefix_token_id", &Vocabulary::fim_prefix},
    {"tokenizer.ggml.suffix_token_id", &Vocabulary::fim_suffix},
    {"tokenizer.ggml.middle_token_id", &Vocabulary::fim_middle},
};

// Bytes, which converters store as numbers with or without a sign.
Result<std::string_view> read_charsmap(const GgufFile& file) {
    const char* key = "tokenizer.ggml.precompiled_charsmap";
    const GgufValue* value = file.find(key);
    if (value == nullptr) return std::string_view();
    if (value->type != GgufType::kArray ||
        (value->element != GgufType::kU8 && value->element != GgufType::kI8))
        return Error{Code::kInvalid, fmt::format("key {} is no array of bytes", key)};
    return std::string_view(reinterpret_cast<const char*>(value->bytes.data()),
                            value->bytes.size());
}

// What no key under tokenizer. says: the two families are told by the model's name and architecture.
Status read_family(const GgufFile& file, Vocabulary& vocabulary) {
    TENON_TRY(const std::string_view architecture, file.get_string_or("general.architecture", ""));
    vocabulary.strips_before_mask = architecture.find("nomic-bert-moe") != std::string_view::npos ||
                                    architecture.find("jina-bert-v3") != std::string_view::npos;
    TENON_TRY(const std::string_view given, file.get_string_or("general.name", ""));
    std::string name(given);
    for (char& letter : name)
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    vocabulary.strips_after_special =
        !vocabulary.strips_before_mask &&
        (name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos);
    return {};
}

}  // namespace

Result<tokenizer::Vocabulary> parse_vocabulary(const GgufFile& file) {
    tokenizer::Vocabulary vocabulary;
    TENON_TRY(vocabulary.model, file.get_string("tokenizer.ggml.model"));
    TENON_TRY(vocabulary.pre, file.get_string_or("tokenizer.ggml.pre", ""));
    TENON_CHECK(read_strings(file, kTokens, tokenizer::kTokensMax, vocabulary.tokens));
    if (vocabulary.tokens.empty())
        return Error{Code::kInvalid,
                     fmt::format("key {} is empty; at least one token is wanted", kTokens)};
    const size_t count = vocabulary.tokens.size();
    TENON_CHECK(
        (read_per_token<float, float>(file, "tokenizer.ggml.scores", count, vocabulary.scores)));
    TENON_CHECK((read_per_token<tokenizer::TokenType, int32_t>(file, "tokenizer.ggml.token_type",
                                                               count, vocabulary.types)));
    if (file.find("tokenizer.ggml.merges"))
        TENON_CHECK(
            read_strings(file, "tokenizer.ggml.merges", tokenizer::kMergesMax, vocabulary.merges));
    for (const IdKey& id : kIdKeys)
        TENON_CHECK(read_id(file, id.key, vocabulary.*id.place));
    TENON_CHECK(read_flag(file, "tokenizer.ggml.add_bos_token", vocabulary.add_bos));
    TENON_CHECK(read_flag(file, "tokenizer.ggml.add_eos_token", vocabulary.add_eos));
    TENON_CHECK(read_flag(file, "tokenizer.ggml.add_space_prefix", vocabulary.add_space_prefix));
    TENON_TRY(vocabulary.remove_extra_whitespaces,
              file.get_bool_or("tokenizer.ggml.remove_extra_whitespaces", false));
    TENON_TRY(vocabulary.lowers_case,
              file.get_bool_or("tokenizer.ggml.normalizer.lowercase", true));
    TENON_CHECK(
        read_flag(file, "tokenizer.ggml.normalizer.strip_accents", vocabulary.strips_accents));
    TENON_TRY(vocabulary.charsmap, read_charsmap(file));
    TENON_CHECK(read_family(file, vocabulary));
    return vocabulary;
}

}  // namespace tenon::formats
