// Finds stop strings in text that arrives in pieces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::engine {

// Passes text on as soon as no stop string can begin in it: what is held back is the longest end of
// the text that begins one, never more. One automaton over bytes per stop string (Knuth, Morris,
// Pratt). O(bytes * stop strings). One thread.
class StopMatcher {
public:
    explicit StopMatcher(std::vector<std::string> stops);  // empty strings are ignored

    // Appends to `out` what is certain. True when a stop string was found: of those that end first
    // the longest. What stands before it was appended, the string itself and the rest are dropped.
    bool push(std::string_view text, std::string& out);
    // Appends what was held back: no more text will come.
    void flush(std::string& out);
    // As push, for text in which stop strings do not count yet.
    void skip(std::string_view text, std::string& out);
    // The one that push() found.
    const std::string& matched() const noexcept { return matched_; }

private:
    struct Automaton {
        std::string text;
        std::vector<uint32_t> border;  // of each prefix: its longest proper prefix that ends it
        uint32_t state = 0;            // bytes of `text` that the input ends with
        void step(char byte);
    };
    std::vector<Automaton> stops_;
    std::string held_;  // a proper prefix of a stop string, or empty
    std::string matched_;
};

}  // namespace tenon::engine
