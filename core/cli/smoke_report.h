// What became of a smoke suite: verdicts, and their forms for people, programs and CI.
#pragma once

#include "core/cli/smoke_suite.h"
#include "core/engine/generation.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

enum class Verdict : uint8_t {
    kPassed,
    kFailed,  // it answered, and not as it should
    kError,   // it did not answer
};
const char* name_of(Verdict verdict) noexcept;  // "passed", "failed", "error"

struct SmokeResult {
    std::string name, backend;
    Verdict verdict = Verdict::kPassed;
    std::string note;  // what was wanted and seen; of a pass: a near-tie, if there was one
    std::string text;
    std::vector<int32_t> tokens;
    double seconds = 0;
};

struct SmokeReport {
    std::string suite, model;
    std::vector<SmokeResult> results;

    size_t count(Verdict verdict) const;
    bool is_ok() const { return count(Verdict::kPassed) == results.size(); }
    std::string to_text(bool has_color) const;  // a table and a line that sums it up
    std::string to_json() const;                // one object
    std::string to_junit() const;               // a test suite for each backend
};

// Tokens of one greedy answer, with the margins of log probability between the first and the second
// choice.
struct GreedyTokens {
    std::vector<int32_t> ids;
    std::vector<double> margins;
};
GreedyTokens greedy_tokens(const std::vector<engine::OutputToken>& tokens);

// Compares token by token. Where they part, a margin of at most `near_tie` in either answer excuses
// it: `note` says so, and what follows is not compared. `wanted` without margins has none. False:
// `note` says where they part and how wide the margin was.
bool agree(const GreedyTokens& seen, const GreedyTokens& wanted, double near_tie,
           std::string& note);

// Judges an answer by what the case expects.
void judge(const SmokeCase& one, double near_tie, const std::string& text,
           const std::vector<engine::OutputToken>& tokens, engine::FinishReason finish,
           SmokeResult& result);

// As the content of an element or attribute of XML 1.0: what it cannot hold becomes U+FFFD.
std::string xml_text(std::string_view text);

}  // namespace tenon::cli
