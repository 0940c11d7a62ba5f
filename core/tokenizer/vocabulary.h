// What a model file says about its tokenizer: the input of Tokenizer::create.
//
// Strings are views: the bytes they point into (the mapped file's metadata) must live until create()
// returns, not longer. Nothing here is checked; create() refuses what makes no sense.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tenon::tokenizer {

// Numbers as stored under tokenizer.ggml.token_type of a GGUF file.
enum class TokenType : int32_t {
    kUndefined = 0,
    kNormal = 1,       // text in the byte alphabet (byte_alphabet.h)
    kUnknown = 2,      // stands for what cannot be spelled; special
    kControl = 3,      // steers the model (<|im_start|>); special
    kUserDefined = 4,  // text taken whole before any other rule
    kUnused = 5,       // a filler; decodes to nothing
    kByte = 6,         // "<0x41>": one byte
};

// The keys named are under tokenizer.ggml. in a GGUF file. Ids index `tokens`.
struct Vocabulary {
    std::string_view model;                 // model: "gpt2", "llama", "t5" or "bert"
    std::string_view pre;                   // pre: the split rules; empty means "default"
    std::vector<std::string_view> tokens;   // tokens
    std::vector<float> scores;              // scores; empty (all 0), or one per token
    std::vector<TokenType> types;           // token_type; empty (all normal), or one per token
    std::vector<std::string_view> merges;   // merges: "left right", best first
    std::optional<int64_t> bos;             // bos_token_id
    std::optional<int64_t> eos;             // eos_token_id
    std::optional<int64_t> eot;             // eot_token_id
    std::optional<int64_t> eom;             // eom_token_id
    std::optional<int64_t> unk;             // unknown_token_id
    std::optional<int64_t> sep;             // seperator_token_id (spelled so)
    std::optional<int64_t> pad;             // padding_token_id
    std::optional<int64_t> fim_prefix;      // fim_pre_token_id
    std::optional<int64_t> fim_suffix;      // fim_suf_token_id
    std::optional<int64_t> fim_middle;      // fim_mid_token_id
    std::optional<int64_t> fim_pad;         // fim_pad_token_id
    std::optional<int64_t> fim_repo;        // fim_rep_token_id
    std::optional<int64_t> fim_separator;   // fim_sep_token_id
    std::optional<bool> add_bos;            // add_bos_token; absent: as the model's family does
    std::optional<bool> add_eos;            // add_eos_token; absent: as the model's family does
    std::optional<bool> add_space_prefix;   // add_space_prefix; has no effect on "gpt2" and "bert"
    bool remove_extra_whitespaces = false;  // remove_extra_whitespaces; "t5" alone
    std::string_view charsmap;              // precompiled_charsmap; "t5" alone
    bool lowers_case = true;                // normalizer.lowercase; "bert" alone
    std::optional<bool> strips_accents;     // normalizer.strip_accents; absent: as lowers_case
    // Two families whose files do not say that special tokens take white space along.
    bool strips_after_special = false;  // Phi-3: every one but <unk>, <s> and <|endoftext|>
    bool strips_before_mask = false;    // the XLM-R family: <mask>
    std::vector<int64_t> eog;           // further ids that end a generation
};

// Limits of create(): far above any published vocabulary, far below what could hurt the process.
inline constexpr uint64_t kTokensMax = 4'194'304;
inline constexpr uint64_t kMergesMax = 8'388'608;
inline constexpr uint64_t kTokenBytesMax = 65'535;
inline constexpr uint64_t kVocabularyBytesMax = 256ull << 20;
inline constexpr uint64_t kSpecialTokenBytesMax = 1'024;  // bounds the work per byte of text

}  // namespace tenon::tokenizer
