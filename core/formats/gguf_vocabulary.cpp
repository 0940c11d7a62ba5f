#include "core/formats/gguf_vocabulary.h"

#include <cstring>
#include <optional>

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
    TENON_CHECK(read_id(file, "tokenizer.ggml.bos_token_id", vocabulary.bos));
    TENON_CHECK(read_id(file, "tokenizer.ggml.eos_token_id", vocabulary.eos));
    TENON_CHECK(read_id(file, "tokenizer.ggml.eot_token_id", vocabulary.eot));
    TENON_CHECK(read_id(file, "tokenizer.ggml.unknown_token_id", vocabulary.unk));
    TENON_CHECK(read_id(file, "tokenizer.ggml.padding_token_id", vocabulary.pad));
    TENON_CHECK(read_flag(file, "tokenizer.ggml.add_bos_token", vocabulary.add_bos));
    TENON_CHECK(read_flag(file, "tokenizer.ggml.add_eos_token", vocabulary.add_eos));
    TENON_TRY(vocabulary.add_space_prefix,
              file.get_bool_or("tokenizer.ggml.add_space_prefix", false));
    std::optional<int64_t> eom;
    TENON_CHECK(read_id(file, "tokenizer.ggml.eom_token_id", eom));
    if (eom) vocabulary.eog.push_back(*eom);
    return vocabulary;
}

}  // namespace tenon::formats
