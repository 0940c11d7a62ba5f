// Finds stop strings in text that arrives in pieces.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::engine {

// Passes text on as soon as no stop string can begin in it. One thread.
class StopMatcher {
public:
    explicit StopMatcher(std::vector<std::string> stops);  // empty strings are ignored

    // Appends to `out` what is certain. True when a stop string was found: what stands before its
    // first occurrence was appended, the string itself and the rest are dropped.
    bool push(std::string_view text, std::string& out);
    // Appends what was held back: no more text will come.
    void flush(std::string& out);

private:
    std::vector<std::string> stops_;
    std::string held_;  // a proper prefix of a stop string, or empty
};

}  // namespace tenon::engine
