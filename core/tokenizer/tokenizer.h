// Text to token ids and back, equal to llama.cpp's llama_tokenize id for id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/tokenizer/algorithm.h"
#include "core/tokenizer/known_tokens.h"
#include "core/tokenizer/special_tokens.h"
#include "core/tokenizer/vocabulary.h"

namespace tenon::tokenizer {

struct EncodeOptions {
    bool add_special = true;     // BOS in front, EOS behind, where the model wants them
    bool parse_special = false;  // control and unknown tokens written as text become those tokens
    size_t input_bytes_max = 16u << 20;  // longer input is refused; at most kInputBytesMax
};

// A hard limit: positions are 32-bit inside, and repair makes three bytes of a broken one.
inline constexpr size_t kInputBytesMax = 1u << 29;

// A part of a prompt. Parts are tokenized as the one text they form together: only special tokens
// stop at the border between what a template wrote and what it was given.
struct Segment {
    std::string_view text;
    bool is_template_text = false;
};

struct DecodeOptions {
    bool skip_special = false;  // leave out control and unknown tokens
    bool repair = true;  // broken UTF-8 becomes U+FFFD (Utf8Stream); false: bytes as they are
    // The text goes on where another ended. Otherwise the space that encode puts before a text, where
    // the model wants one, is left out again.
    bool continues = false;
};

struct TokenizerOptions {
    bool use_jit = true;  // of PCRE2, where the system has it
};

// Owns copies of all it needs of the vocabulary. Immutable: any thread may call any member.
class Tokenizer {
public:
    // Refuses, with one sentence: a model other than "gpt2", "llama", "t5" and "bert", unknown split
    // rules, no tokens, two equal tokens, lists of unequal length, scores that are no numbers, ids
    // outside the vocabulary, merges of or into what is no token, a broken normaliser, an order to
    // add a BOS or EOS that is not named, limits of vocabulary.h exceeded.
    static Result<Tokenizer> create(const Vocabulary& vocabulary,
                                    const TokenizerOptions& options = {});

    // Any bytes are legal; what is not UTF-8 is repaired (clean_text) or, by SentencePiece models,
    // spelled byte by byte. What the vocabulary cannot spell is left out or its unknown token.
    // User-defined tokens are found even without parse_special.
    Result<std::vector<int32_t>> encode(std::string_view text,
                                        const EncodeOptions& options = {}) const;

    // As encode, but whether special tokens are parsed is said by each segment: template text forms
    // all of them, other text none, so that a control token typed by a user stays text. Of the
    // user-defined tokens other text forms those of white space only. options.parse_special is not
    // looked at. A special token never spans template text and other text.
    Result<std::vector<int32_t>> encode_segments(std::span<const Segment> segments,
                                                 const EncodeOptions& options = {}) const;

    // Refuses ids outside the vocabulary.
    Result<std::string> decode(std::span<const int32_t> ids,
                               const DecodeOptions& options = {}) const;

    int32_t size() const noexcept { return tokens_->size(); }
    bool contains(int32_t id) const noexcept { return id >= 0 && id < size(); }
    // The text as the file spells it; empty for an id outside the vocabulary.
    std::string_view token_text(int32_t id) const noexcept;
    // The bytes the token stands for, perhaps a part of a character; empty for such an id.
    std::string_view token_bytes(int32_t id) const noexcept;
    // The token spelled so by the file.
    std::optional<int32_t> find_token(std::string_view text) const noexcept;

    bool is_eog(int32_t id) const noexcept;                            // ends a generation
    bool is_special(int32_t id) const noexcept;                        // control or unknown
    const std::vector<int32_t>& eog() const noexcept { return eog_; }  // sorted
    std::optional<int32_t> bos() const noexcept { return bos_; }
    std::optional<int32_t> eos() const noexcept { return eos_; }
    std::optional<int32_t> pad() const noexcept { return pad_; }
    // Fill-in-the-middle and tool tokens, end of turn, end of message.
    const KnownTokens& known() const noexcept { return known_; }
    bool adds_bos() const noexcept { return add_bos_; }
    bool adds_eos() const noexcept { return add_eos_; }
    // encode puts a space before the text; decode takes it away.
    bool adds_space_prefix() const noexcept { return space_prefix_; }
    bool uses_jit() const noexcept { return algorithm_->uses_jit(); }

private:
    Tokenizer() = default;
    Status take_tokens(const Vocabulary& vocabulary, TokenList& tokens);
    Status take_types(const Vocabulary& vocabulary, TokenList& tokens);
    Status take_pieces(void (*unspell)(std::string_view, std::string&));
    Status take_special_ids(const Vocabulary& vocabulary, const struct ModelFamily& family);
    Status take_special_tokens(const Vocabulary& vocabulary);
    Result<std::vector<int32_t>> encode_between(std::string_view text,
                                                const std::vector<SpecialMatch>& matches,
                                                const EncodeOptions& options) const;

    std::unique_ptr<TokenList> tokens_;     // stays where it is: algorithm_ points to it
    std::unique_ptr<Algorithm> algorithm_;  // never null
    std::string pieces_;                    // decoded tokens, one after the other
    std::vector<uint32_t> piece_ends_;
    SpecialTokens special_;
    KnownTokens known_;
    std::vector<int32_t> eog_;
    std::optional<int32_t> bos_, eos_, sep_, unk_, pad_;
    std::optional<int32_t> last_;  // what encode puts behind the text where the model wants that
    bool add_bos_ = false;
    bool add_eos_ = false;
    bool space_prefix_ = false;
    bool strips_first_space_ = false;
};

}  // namespace tenon::tokenizer
