// A verb of the program: `tenon NAME ...`. Each verb is one file of its room; CMake writes the
// list.
#pragma once

#include "core/cli/option_table.h"

#include <vector>

namespace tenon::cli {

// run() declares its options, nothing else, before it calls Arguments::parse: completion and manual
// pages call it for its table alone (describe() of arguments.h).
struct Verb {
    const char* name;
    const char* summary;                // one line of `tenon --help`
    bool listed;                        // false: works, but `tenon --help` does not show it
    int (*run)(int argc, char** argv);  // argv[0] is the verb; returns an exit code
};

// Every verb, in the order of the help; ends with null. Part of the program, not of this library.
extern const Verb* const kVerbs[];

// Tables of every listed verb, those of its sub-verbs behind it.
std::vector<OptionTable> listed_tables();

}  // namespace tenon::cli
