// How Tokenizer::create takes over a Vocabulary: every check of a model file's tokenizer is here.
#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "core/tokenizer/byte_alphabet.h"
#include "core/tokenizer/tokenizer.h"

namespace tenon::tokenizer {
namespace {

// Texts of tokens that end a generation in published models whose files do not say so (many name
// one eos id where the model uses two tokens). llama.cpp keeps the same list, and so do we: both
// must stop at the same token. A token with such a text is a control token whatever the file says.
constexpr std::array<std::string_view, 30> kEndTexts = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
    "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
    "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>",
    "[PAD]", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>",
    "[e~[",
};

Error refuse(std::string message) {
    return {Code::kInvalid, std::move(message)};
}

} // namespace

Status Tokenizer::take_tokens(const Vocabulary& vocabulary) {
    const size_t count = vocabulary.tokens.size();
    if (count == 0) return refuse("the vocabulary has no tokens; a tokenizer needs at least one");
    if (count > kTokensMax) {
        return refuse(fmt::format("the vocabulary has {} tokens; the limit is {}", count, kTokensMax));
    }
    if (!vocabulary.scores.empty() && vocabulary.scores.size() != count) {
        return refuse(fmt::format("the vocabulary has {} tokens but {} scores; each token needs one",
                                  count, vocabulary.scores.size()));
    }
    size_t total = 0;
    for (size_t i = 0; i < count; ++i) {
        const size_t bytes = vocabulary.tokens[i].size();
        total += bytes;
        if (bytes > kTokenBytesMax || total > kVocabularyBytesMax) {
            return refuse(fmt::format("token {} has {} bytes ({} with those before it); the limits are "
                                      "{} for one and {} for all",
                                      i, bytes, total, kTokenBytesMax, kVocabularyBytesMax));
        }
    }
    TENON_TRY(table_, TokenTable::build(vocabulary.tokens));
    return {};
}

Status Tokenizer::take_types(const Vocabulary& vocabulary) {
    const size_t count = vocabulary.tokens.size();
    if (vocabulary.types.empty()) {
        types_.assign(count, TokenType::kNormal);
    } else if (vocabulary.types.size() == count) {
        types_ = vocabulary.types;
    } else {
        return refuse(fmt::format("the vocabulary has {} tokens but {} token types; each token needs "
                                  "one",
                                  count, vocabulary.types.size()));
    }
    for (size_t i = 0; i < count; ++i) {
        const auto number = static_cast<int32_t>(types_[i]);
        if (number < 0 || number > static_cast<int32_t>(TokenType::kByte)) {
            return refuse(fmt::format("token {} has type {}; types are 0 to 6", i, number));
        }
    }
    for (std::string_view text : kEndTexts) {
        const int32_t id = table_.find(text);
        if (id < 0) continue;
        types_[static_cast<size_t>(id)] = TokenType::kControl;
        eog_.push_back(id);
    }
    return {};
}

Status Tokenizer::take_pieces() {
    pieces_.reserve(static_cast<size_t>(size()) * 8);
    piece_ends_.reserve(static_cast<size_t>(size()));
    std::fill(std::begin(byte_ids_), std::end(byte_ids_), -1);
    for (int32_t id = 0; id < size(); ++id) {
        const std::string_view text = table_.text(id);
        const size_t before = pieces_.size();
        switch (types_[static_cast<size_t>(id)]) {
        case TokenType::kNormal:
            append_bytes(text, pieces_);
            word_bytes_max_ = std::max(word_bytes_max_, pieces_.size() - before);
            break;
        case TokenType::kByte: {
            unsigned value = 0;
            const char* digits = text.data() + 3;
            const bool framed = text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
            if (!framed || std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) {
                return refuse(fmt::format("token {} is of type byte but is spelled '{}'; the form is "
                                          "<0x41>",
                                          id, text.substr(0, 64)));
            }
            pieces_.push_back(static_cast<char>(value));
            break;
        }
        case TokenType::kUnknown:
        case TokenType::kControl:
        case TokenType::kUserDefined: pieces_.append(text); break;
        case TokenType::kUndefined:
        case TokenType::kUnused: break;
        }
        word_bytes_max_ = std::max(word_bytes_max_, text.size());
        piece_ends_.push_back(static_cast<uint32_t>(pieces_.size()));
    }
    std::string spelled;
    for (int byte = 0; byte < 256; ++byte) {
        spelled.clear();
        append_spelling(static_cast<uint8_t>(byte), spelled);
        const int32_t id = table_.find(spelled);
        if (id >= 0 && !is_special(id)) byte_ids_[byte] = id;
    }
    return {};
}

Status Tokenizer::take_merges(const Vocabulary& vocabulary) {
    const size_t count = vocabulary.merges.size();
    if (count > kMergesMax) {
        return refuse(fmt::format("the vocabulary has {} merges; the limit is {}", count, kMergesMax));
    }
    merges_.reserve(count);
    std::string joined;
    for (size_t i = 0; i < count; ++i) {
        const std::string_view merge = vocabulary.merges[i];
        const size_t space = merge.find(' ', 1);
        if (space == std::string_view::npos) {
            return refuse(fmt::format("merge {} is '{}'; a merge is two tokens with a space between", i,
                                      merge.substr(0, 64)));
        }
        joined.assign(merge.substr(0, space));
        joined.append(merge.substr(space + 1));
        const Merge entry = {table_.find(merge.substr(0, space)), table_.find(merge.substr(space + 1)),
                             table_.find(joined), static_cast<int32_t>(i)};
        if (entry.left < 0 || entry.right < 0 || entry.merged < 0) {
            const char* which = entry.left < 0 ? "left" : entry.right < 0 ? "right" : "joined";
            return refuse(fmt::format("merge {} is '{}', but its {} text is no token of the vocabulary",
                                      i, merge.substr(0, 64), which));
        }
        // Plain text must never turn into a control token, not even by a file's own merges.
        if (is_special(entry.merged)) continue;
        if (!merges_.insert(entry)) {
            return refuse(fmt::format("merge {} is one of very many made to collide in the merge table",
                                      i));
        }
    }
    return {};
}

Status Tokenizer::take_special_ids(const Vocabulary& vocabulary) {
    std::optional<int32_t> eot, unk;
    const auto take = [&](const char* name, std::optional<int64_t> id,
                          std::optional<int32_t>& to) -> Status {
        if (!id) return {};
        if (*id < 0 || *id >= size()) {
            return refuse(fmt::format("the {} id is {}; ids of this vocabulary are 0 to {}", name, *id,
                                      size() - 1));
        }
        to = static_cast<int32_t>(*id);
        return {};
    };
    TENON_CHECK(take("BOS", vocabulary.bos, bos_));
    TENON_CHECK(take("EOS", vocabulary.eos, eos_));
    TENON_CHECK(take("EOT", vocabulary.eot, eot));
    TENON_CHECK(take("unknown-token", vocabulary.unk, unk));
    TENON_CHECK(take("padding", vocabulary.pad, pad_));
    for (int64_t id : vocabulary.eog) {
        std::optional<int32_t> end;
        TENON_CHECK(take("end-of-generation", id, end));
        eog_.push_back(*end);
    }
    if (eos_) eog_.push_back(*eos_);
    if (eot) eog_.push_back(*eot);
    std::sort(eog_.begin(), eog_.end());
    eog_.erase(std::unique(eog_.begin(), eog_.end()), eog_.end());

    add_bos_ = vocabulary.add_bos.value_or(rules_.adds_bos() && bos_.has_value());
    add_eos_ = vocabulary.add_eos.value_or(false);
    if (add_bos_ && !bos_) return refuse("the tokenizer is to add a BOS token, but no BOS id is given");
    if (add_eos_ && !eos_) return refuse("the tokenizer is to add an EOS token, but no EOS id is given");
    return {};
}

Status Tokenizer::take_special_tokens() {
    std::vector<SpecialTokens::Token> tokens;
    for (int32_t id = 0; id < size(); ++id) {
        const bool user_defined = types_[static_cast<size_t>(id)] == TokenType::kUserDefined;
        const std::string_view text = table_.text(id);
        if (text.empty() || !(user_defined || is_special(id))) continue;
        if (text.size() > kSpecialTokenBytesMax) {
            return refuse(fmt::format("special token {} has {} bytes; the limit is {}", id, text.size(),
                                      kSpecialTokenBytesMax));
        }
        tokens.push_back({std::string(text), id, user_defined});
    }
    special_ = SpecialTokens::build(std::move(tokens));
    return {};
}

} // namespace tenon::tokenizer
