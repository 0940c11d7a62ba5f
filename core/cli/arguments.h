// The command line of one verb: options declared once give parsing, help and suggestions, and the
// table that completion and manual pages are made of.
#pragma once

#include "core/cli/option_table.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tenon::cli {

// Exit codes of the program; there are no others.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitConfig = 78;

// Declares options bound to variables, which must outlive parse(). Names as "-t,--threads". A row
// that is returned may be completed until parse().
class Arguments {
public:
    Arguments(std::string verb, std::string summary);
    ~Arguments();

    OptionRow& positional(const std::string& name, std::string& value, const std::string& text,
                          bool required = true);
    OptionRow& flag(const std::string& names, bool& value, const std::string& text);
    OptionRow& option(const std::string& names, std::string& value, const std::string& text,
                      const std::string& placeholder = "TEXT");
    OptionRow& option(const std::string& names, std::vector<std::string>& values,
                      const std::string& text, const std::string& placeholder = "TEXT");
    // Numbers from 0.
    OptionRow& option(const std::string& names, int32_t& value, const std::string& text);
    OptionRow& option(const std::string& names, uint32_t& value, const std::string& text);
    OptionRow& option(const std::string& names, uint64_t& value, const std::string& text);
    OptionRow& option(const std::string& names, float& value, const std::string& text);
    // A verb below this one, with a table of its own: `tenon VERB NAME ...`.
    void sub_verb(const std::string& name, const std::string& summary);
    // One line of the examples at the end of the help.
    void example(const std::string& line);

    // Nothing when the verb should run; else the exit code, its text already written.
    std::optional<int> parse(int argc, char** argv);
    // Whether the option or positional was given; `name` without dashes.
    bool given(const std::string& name) const;
    // Help text as --help prints it.
    std::string help() const;
    OptionTable table() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// The table of a verb, without running it: `run` is called with `words` (its name first) and must
// declare all its options before it calls parse(), which then ends it. Main thread.
OptionTable describe(int (*run)(int argc, char** argv), std::vector<std::string> words);

}  // namespace tenon::cli
