// A verb of the program: `tenon NAME ...`. Each verb is one file of its room; CMake writes the
// list.
#pragma once

namespace tenon::cli {

struct Verb {
    const char* name;
    const char* summary;                // one line of `tenon --help`
    bool listed;                        // false: works, but `tenon --help` does not show it
    int (*run)(int argc, char** argv);  // argv[0] is the verb; returns an exit code
};

}  // namespace tenon::cli
