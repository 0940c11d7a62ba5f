// A smoke suite: prompts, and what a model must make of them. A file of YAML; see
// configs/examples/smoke.yaml.
#pragma once

#include "core/chat_template/template.h"
#include "core/cli/answer_options.h"
#include "core/config/yaml.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

// What is asked of an answer; empty members ask nothing.
struct SmokeExpectation {
    std::vector<int32_t> tokens = {};  // the first ones drawn
    std::string text = {};             // the answer, white space around it left out
    std::vector<std::string> contains = {};
    std::string regex = {};   // PCRE2, found anywhere
    std::string finish = {};  // stop or length

    bool asks_nothing() const {
        return tokens.empty() && text.empty() && contains.empty() && regex.empty() &&
               finish.empty();
    }
};

struct SmokeCase {
    std::string name;
    std::string prompt;  // with `is_raw` as it is, else what a user says
    bool is_raw = false;
    std::vector<chat_template::Message> messages;  // instead of a prompt
    AnswerOptions options;                         // temperature 0 unless the case says otherwise
    SmokeExpectation expect;
    size_t line = 0;  // of the suite's file
};

struct SmokeSuite {
    std::string name, model;            // model may be empty: the command line names it
    std::vector<std::string> backends;  // empty: the best one
    // Margin of log probability between first and second choice below which either is right: from
    // there on tokens are not compared.
    double near_tie = 0.1;
    std::vector<SmokeCase> cases;
};

// Every mistake at once; none: `suite` was filled. `name` is the suite's where it gives none.
std::vector<config::Mistake> parse_suite(std::string_view text, const std::string& name,
                                         SmokeSuite& suite);

}  // namespace tenon::cli
