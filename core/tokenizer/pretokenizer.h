// Split rules: cuts text into the words inside which byte pairs may merge.
//
// A set of rules is one or more regular expressions. The first cuts the text: each match is a
// fragment, and so is each stretch between matches. The next cuts every fragment, which it sees as a
// text of its own, and so on.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/result.h"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;

namespace tenon::tokenizer {

// Compiled once; immutable: any thread may split with it, each through its own Splitter.
class Pretokenizer {
public:
    // `pre` as in Vocabulary::pre. Without `use_jit`, or where the system forbids executable memory,
    // the interpreter of PCRE2 does the same work at about a fifth of the speed.
    static Result<Pretokenizer> create(std::string_view pre, bool use_jit);

    bool uses_jit() const noexcept { return uses_jit_; }
    // A word that is a token is taken whole, whatever the merges say.
    bool ignores_merges() const noexcept { return ignores_merges_; }
    // Whether models with these rules begin with BOS when their file does not say.
    bool adds_bos() const noexcept { return adds_bos_; }

private:
    friend class Splitter;
    struct FreeCode {
        void operator()(pcre2_real_code_8* code) const noexcept;
    };
    std::vector<std::unique_ptr<pcre2_real_code_8, FreeCode>> stages_;
    bool uses_jit_ = false;
    bool ignores_merges_ = false;
    bool adds_bos_ = false;
};

// What one call of encode needs to split. The pretokenizer must outlive it. Thread-compatible.
class Splitter {
public:
    static Result<Splitter> create(const Pretokenizer& rules);

    // Appends the offset of every word's end to `ends`: together the words are the whole text.
    // `text` must be valid UTF-8. Linear in the text.
    Status split(std::string_view text, std::vector<size_t>& ends);

private:
    Status split_stage(std::string_view text, size_t offset, size_t stage,
                       std::vector<size_t>& ends);
    int match(size_t stage, std::string_view text, size_t from);

    struct FreeData {
        void operator()(pcre2_real_match_data_8* data) const noexcept;
    };
    struct FreeContext {
        void operator()(pcre2_real_match_context_8* context) const noexcept;
    };
    const Pretokenizer* rules_ = nullptr;  // not owned
    std::unique_ptr<pcre2_real_match_data_8, FreeData> data_;
    std::unique_ptr<pcre2_real_match_context_8, FreeContext> context_;
};

}  // namespace tenon::tokenizer
