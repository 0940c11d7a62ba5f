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
    kNormal = 1,      // text in the byte alphabet (byte_alphabet.h)
    kUnknown = 2,     // stands for what cannot be spelled; special
    kControl = 3,     // steers the model (<|im_start|>); special
    kUserDefined = 4, // text taken whole before any other rule
    kUnused = 5,      // a filler; decodes to nothing
    kByte = 6,        // "<0x41>": one byte
};

// The keys named are under tokenizer.ggml. in a GGUF file. Ids index `tokens`.
struct Vocabulary {
    std::string_view model;               // model: "gpt2" = byte-level BPE
    std::string_view pre;                 // pre: the split rules; empty means "default"
    std::vector<std::string_view> tokens; // tokens
    std::vector<float> scores;            // scores; empty, or one per token; unused by BPE
    std::vector<TokenType> types;         // token_type; empty (all normal), or one per token
    std::vector<std::string_view> merges; // merges: "left right", best first
    std::optional<int64_t> bos;           // bos_token_id
    std::optional<int64_t> eos;           // eos_token_id
    std::optional<int64_t> eot;           // eot_token_id
    std::optional<int64_t> unk;           // unknown_token_id
    std::optional<int64_t> pad;           // padding_token_id
    std::optional<bool> add_bos;          // add_bos_token; absent: as the split rules' family does
    std::optional<bool> add_eos;          // add_eos_token; absent: no
    bool add_space_prefix = false;        // add_space_prefix; has no effect on byte-level BPE
    std::vector<int64_t> eog;             // further ids that end a generation
};

// Limits of create(): far above any published vocabulary, far below what could hurt the process.
inline constexpr uint64_t kTokensMax = 4'194'304;
inline constexpr uint64_t kMergesMax = 8'388'608;
inline constexpr uint64_t kTokenBytesMax = 65'535;
inline constexpr uint64_t kVocabularyBytesMax = 256ull << 20;
inline constexpr uint64_t kSpecialTokenBytesMax = 1'024; // bounds the work per byte of text

} // namespace tenon::tokenizer
