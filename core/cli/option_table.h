// What a verb takes, as data: one table gives parsing, help, completion and the manual page.
#pragma once

#include <string>
#include <vector>

namespace tenon::cli {

// One option or positional of a verb.
struct OptionRow {
    std::vector<std::string> names;  // "-t", "--threads"; of a positional its one name
    std::string
        value;  // what its value is called: shells complete FILE, DIR and MODEL; empty: a flag
    std::string text;      // one line
    std::string fallback;  // what it is when not given, as text; may be empty
    std::vector<std::string> choices;
    std::string field;        // of the configuration that it sets, dotted; empty: none
    bool is_checked = false;  // a value outside of `choices` is a mistake
    bool is_positional = false;
    bool is_required = false;
    bool repeats = false;

    // The values it takes; any other is refused.
    OptionRow& one_of(std::vector<std::string> values);
    // Values to propose; whoever takes the value checks it.
    OptionRow& propose(std::vector<std::string> values);
    // It sets this field of the configuration, and its values are those of the field.
    OptionRow& sets(const std::string& field);
};

struct SubVerb {
    std::string name, summary;
};

struct OptionTable {
    std::string verb;             // "run", "bench serve"
    std::string brief;            // a few words, as `tenon --help` has them
    std::string summary;          // sentences
    std::vector<OptionRow> rows;  // in order of declaration; --help is not among them
    std::vector<SubVerb> sub_verbs;
    std::vector<std::string> examples;
};

// The text of --help.
std::string help_text(const OptionTable& table);

}  // namespace tenon::cli
