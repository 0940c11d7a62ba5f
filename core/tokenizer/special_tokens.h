// Finds the tokens that are taken whole out of a text before any split rule sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::tokenizer {

// Which tokens may be found.
enum class SpecialScope {
    kAll,          // control, unknown and user-defined: text written by a template
    kUserDefined,  // user-defined only: text in which control tokens are just text
    kWhitespace,   // user-defined ones made of white space only: text a user typed into a prompt
};

// One occurrence: bytes [begin, end) of the text are token `id`, with the white space it takes along.
struct SpecialMatch {
    size_t begin = 0;
    size_t end = 0;
    int32_t id = -1;
    bool strips_right = false;  // it takes along what follows, also beyond where find() stopped
};

// ASCII white space, which tokens may take along.
bool is_stripped(char byte) noexcept;

// The longest token takes its occurrences first, from left to right, then the next longest takes
// what is left, and so on: the order of llama.cpp. Immutable after build: any thread may read.
class SpecialTokens {
public:
    struct Token {
        std::string text;  // not empty, at most kSpecialTokenBytesMax bytes
        int32_t id = -1;
        bool user_defined = false;
        bool strips_left = false;   // takes the white space before it along
        bool strips_right = false;  // takes the white space after it along
    };

    // `tokens` in order of id, no two texts equal.
    static SpecialTokens build(std::vector<Token> tokens);

    // Appends the matches in text[begin, end) to `out`, by position; positions count from the start
    // of `text`. The work is linear in the text, whatever it holds.
    void find(std::string_view text, size_t begin, size_t end, SpecialScope scope,
              std::vector<SpecialMatch>& out) const;

    size_t size() const noexcept { return tokens_.size(); }

private:
    struct Entry {
        Token token;
        int32_t turn = 0;  // lower takes its occurrences first
        bool whitespace = false;
    };

    static bool allowed(const Entry& entry, SpecialScope scope) noexcept;
    const Entry* entry_of(std::string_view text) const noexcept;

    std::vector<Entry> tokens_;  // sorted by text
    bool starts_[256] = {};      // first bytes of all texts
};

}  // namespace tenon::tokenizer
