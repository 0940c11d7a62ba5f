// How Tokenizer::create takes over a Vocabulary: every check of a model file's tokenizer is here.
#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "core/tokenizer/bpe.h"
#include "core/tokenizer/byte_alphabet.h"
#include "core/tokenizer/split_rules.h"
#include "core/tokenizer/spm.h"
#include "core/tokenizer/tokenizer.h"
#include "core/tokenizer/unigram.h"
#include "core/tokenizer/wordpiece.h"

namespace tenon::tokenizer {

// What a model's name says, and what holds where its file is silent. Ids that a file does not name
// and that its vocabulary does not reach are none.
struct ModelFamily {
    std::string_view model;
    AlgorithmMaker make;
    void (*unspell)(std::string_view text, std::string& out);  // of a normal token
    std::optional<int32_t> bos = {}, eos = {}, unk = {}, sep = {}, pad = {};
    bool adds_bos = false;
    bool adds_eos = false;
    bool takes_space_prefix = false;  // a file may ask for a space in front
    bool adds_space_prefix = false;
    bool always_framed = false;       // BOS and separator around every text, whatever the file says
    bool strips_first_space = false;  // words begin with a space, the first one too
};

namespace {

// As llama.cpp writes them: the mark is a space.
void unescape(std::string_view text, std::string& out) {
    for (size_t at = 0; at < text.size();) {
        const size_t mark = text.find(kSpaceMark, at);
        out.append(text.substr(at, mark - at));
        if (mark == std::string_view::npos) break;
        out.push_back(' ');
        at = mark + kSpaceMark.size();
    }
}

constexpr ModelFamily kFamilies[] = {
    {.model = "gpt2", .make = make_bpe, .unspell = append_bytes},
    {.model = "llama",
     .make = make_spm,
     .unspell = unescape,
     .bos = 1,
     .eos = 2,
     .unk = 0,
     .adds_bos = true,
     .takes_space_prefix = true,
     .adds_space_prefix = true},
    {.model = "t5",
     .make = make_unigram,
     .unspell = unescape,
     .eos = 1,
     .unk = 2,
     .pad = 0,
     .adds_eos = true,
     .takes_space_prefix = true},
    {.model = "bert",
     .make = make_wordpiece,
     .unspell = unescape,
     .bos = 101,
     .unk = 100,
     .sep = 102,
     .pad = 0,
     .always_framed = true,
     .strips_first_space = true},
};

const ModelFamily* find_family(std::string_view model) {
    for (const ModelFamily& family : kFamilies) {
        if (family.model == model) return &family;
    }
    return nullptr;
}

Error refuse(std::string message) { return {Code::kInvalid, std::move(message)}; }

}  // namespace

Result<Tokenizer> Tokenizer::create(const Vocabulary& vocabulary, const TokenizerOptions& options) {
    const ModelFamily* family = find_family(vocabulary.model);
    if (family == nullptr) {
        return Error{
            Code::kUnsupported,
            fmt::format("the tokenizer is of model '{}'; known models are gpt2 (byte-level BPE), "
                        "llama and t5 (SentencePiece), bert (WordPiece)",
                        vocabulary.model.substr(0, 64))};
    }
    Tokenizer tokenizer;
    tokenizer.tokens_ = std::make_unique<TokenList>();
    TokenList& tokens = *tokenizer.tokens_;
    TENON_CHECK(tokenizer.take_tokens(vocabulary, tokens));
    TENON_CHECK(tokenizer.take_types(vocabulary, tokens));
    TENON_CHECK(find_known_tokens(vocabulary, tokens, tokenizer.known_, tokenizer.eog_));
    TENON_CHECK(tokenizer.take_pieces(family->unspell));
    TENON_CHECK(tokenizer.take_special_ids(vocabulary, *family));
    const AlgorithmInput input = {tokens, vocabulary, tokenizer.unk_.value_or(-1),
                                  tokenizer.space_prefix_, options.use_jit};
    TENON_TRY(tokenizer.algorithm_, family->make(input));
    TENON_CHECK(tokenizer.take_special_tokens(vocabulary));
    return tokenizer;
}

Status Tokenizer::take_tokens(const Vocabulary& vocabulary, TokenList& tokens) {
    const size_t count = vocabulary.tokens.size();
    if (count == 0) return refuse("the vocabulary has no tokens; a tokenizer needs at least one");
    if (count > kTokensMax) {
        return refuse(
            fmt::format("the vocabulary has {} tokens; the limit is {}", count, kTokensMax));
    }
    if (!vocabulary.scores.empty() && vocabulary.scores.size() != count) {
        return refuse(
            fmt::format("the vocabulary has {} tokens but {} scores; each token needs one", count,
                        vocabulary.scores.size()));
    }
    size_t total = 0;
    for (size_t i = 0; i < count; ++i) {
        const size_t bytes = vocabulary.tokens[i].size();
        total += bytes;
        if (bytes > kTokenBytesMax || total > kVocabularyBytesMax) {
            return refuse(
                fmt::format("token {} has {} bytes ({} with those before it); the limits are "
                            "{} for one and {} for all",
                            i, bytes, total, kTokenBytesMax, kVocabularyBytesMax));
        }
    }
    for (size_t i = 0; i < vocabulary.scores.size(); ++i) {
        if (!std::isfinite(vocabulary.scores[i])) {
            return refuse(fmt::format("token {} has the score {}; a number is wanted", i,
                                      vocabulary.scores[i]));
        }
    }
    tokens.scores = vocabulary.scores;
    TENON_TRY(tokens.table, TokenTable::build(vocabulary.tokens));
    return {};
}

Status Tokenizer::take_types(const Vocabulary& vocabulary, TokenList& tokens) {
    const size_t count = vocabulary.tokens.size();
    if (vocabulary.types.empty()) {
        tokens.types.assign(count, TokenType::kNormal);
    } else if (vocabulary.types.size() == count) {
        tokens.types = vocabulary.types;
    } else {
        return refuse(
            fmt::format("the vocabulary has {} tokens but {} token types; each token needs "
                        "one",
                        count, vocabulary.types.size()));
    }
    for (size_t i = 0; i < count; ++i) {
        const auto number = static_cast<int32_t>(tokens.types[i]);
        if (number < 0 || number > static_cast<int32_t>(TokenType::kByte)) {
            return refuse(fmt::format("token {} has type {}; types are 0 to 6", i, number));
        }
    }
    return {};
}

Status Tokenizer::take_pieces(void (*unspell)(std::string_view, std::string&)) {
    pieces_.reserve(static_cast<size_t>(size()) * 8);
    piece_ends_.reserve(static_cast<size_t>(size()));
    for (int32_t id = 0; id < size(); ++id) {
        const std::string_view text = tokens_->table.text(id);
        switch (tokens_->type(id)) {
            case TokenType::kNormal: unspell(text, pieces_); break;
            case TokenType::kByte: {
                unsigned value = 0;
                const char* digits = text.data() + 3;
                const bool framed =
                    text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
                if (!framed || std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) {
                    return refuse(
                        fmt::format("token {} is of type byte but is spelled '{}'; the form is "
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
        piece_ends_.push_back(static_cast<uint32_t>(pieces_.size()));
    }
    return {};
}

Status Tokenizer::take_special_ids(const Vocabulary& vocabulary, const ModelFamily& family) {
    const auto take = [&](const char* name, std::optional<int64_t> id, std::optional<int32_t> usual,
                          std::optional<int32_t>& to) -> Status {
        TENON_TRY(to, check_id(*tokens_, name, id));
        if (!to && usual && *usual < size()) to = usual;
        return {};
    };
    TENON_CHECK(take("BOS", vocabulary.bos, family.bos, bos_));
    TENON_CHECK(take("EOS", vocabulary.eos, family.eos, eos_));
    TENON_CHECK(take("unknown-token", vocabulary.unk, family.unk, unk_));
    TENON_CHECK(take("separator", vocabulary.sep, family.sep, sep_));
    TENON_CHECK(take("padding", vocabulary.pad, family.pad, pad_));
    if (eos_) eog_.push_back(*eos_);
    std::sort(eog_.begin(), eog_.end());
    eog_.erase(std::unique(eog_.begin(), eog_.end()), eog_.end());

    const SplitRules* rules = family.make == make_bpe ? find_split_rules(vocabulary.pre) : nullptr;
    const bool usual_bos = family.adds_bos || (rules != nullptr && rules->adds_bos);
    add_bos_ = vocabulary.add_bos.value_or(usual_bos && bos_.has_value());
    add_eos_ = vocabulary.add_eos.value_or(family.adds_eos && eos_.has_value());
    last_ = eos_;
    if (family.always_framed) {
        add_bos_ = add_eos_ = true;
        last_ = sep_;
    }
    if (add_bos_ && !bos_)
        return refuse("the tokenizer is to add a BOS token, but no BOS id is given");
    if (add_eos_ && !last_)
        return refuse("the tokenizer is to add an EOS token, but no EOS id is given");
    space_prefix_ =
        family.takes_space_prefix && vocabulary.add_space_prefix.value_or(family.adds_space_prefix);
    strips_first_space_ = space_prefix_ || family.strips_first_space;
    return {};
}

Status Tokenizer::take_special_tokens(const Vocabulary& vocabulary) {
    std::vector<SpecialTokens::Token> tokens;
    for (int32_t id = 0; id < size(); ++id) {
        const bool user_defined = tokens_->type(id) == TokenType::kUserDefined;
        const std::string_view text = tokens_->table.text(id);
        if (text.empty() || !(user_defined || is_special(id))) continue;
        if (text.size() > kSpecialTokenBytesMax) {
            return refuse(fmt::format("special token {} has {} bytes; the limit is {}", id,
                                      text.size(), kSpecialTokenBytesMax));
        }
        const bool begins = text == "<unk>" || text == "<s>" || text == "<|endoftext|>";
        tokens.push_back({.text = std::string(text),
                          .id = id,
                          .user_defined = user_defined,
                          .strips_left = vocabulary.strips_before_mask && text == "<mask>",
                          .strips_right = vocabulary.strips_after_special && !begins});
    }
    special_ = SpecialTokens::build(std::move(tokens));
    return {};
}

}  // namespace tenon::tokenizer
