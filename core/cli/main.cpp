// tenon VERB ...: finds the verb and runs it.
#include "core/cli/arguments.h"
#include "core/cli/crash.h"
#include "core/cli/verb.h"
#include "core/config/nearest.h"

#include <tenon/abi.h>

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

extern const Verb* const kVerbs[];

namespace {

void print_help() {
    fmt::print("usage: tenon VERB [options]\n\nRuns language models on the device at hand.\n\n");
    for (const Verb* const* verb = kVerbs; *verb != nullptr; ++verb) {
        if ((*verb)->listed) fmt::print("  {:12}{}\n", (*verb)->name, (*verb)->summary);
    }
    fmt::print(
        "\n  tenon VERB --help     options of a verb\n  tenon --version       version and ABI\n\n"
        "exit codes: 0 ok, 1 failure or mismatch, 2 usage, 78 configuration\n");
}

int run(int argc, char** argv) {
    const std::string_view word = argc > 1 ? argv[1] : "";
    if (word == "--help" || word == "-h" || word == "help") {
        print_help();
        return kExitOk;
    }
    if (word == "--version") {
        fmt::print("tenon {} (plugin ABI v{} revision {}, {:016x})\n", TENON_VERSION,
                   TENON_ABI_VERSION, TENON_ABI_REVISION, TENON_ABI_FINGERPRINT);
        return kExitOk;
    }
    std::vector<std::string> names;
    for (const Verb* const* verb = kVerbs; *verb != nullptr; ++verb) {
        if (word == (*verb)->name) return (*verb)->run(argc - 1, argv + 1);
        names.emplace_back((*verb)->name);
    }
    if (word.empty()) {
        fmt::print(stderr, "tenon: a verb is missing\nTry 'tenon --help'.\n");
        return kExitUsage;
    }
    const std::string close = config::nearest(word, names);
    fmt::print(stderr, "tenon: unknown verb '{}'{}\nTry 'tenon --help'.\n", word,
               close.empty() ? "" : fmt::format("; did you mean '{}'?", close));
    return kExitUsage;
}

}  // namespace

}  // namespace tenon::cli

int main(int argc, char** argv) {
    tenon::cli::explain_crashes();
    try {
        return tenon::cli::run(argc, argv);
    } catch (const std::bad_alloc&) {
        std::fputs("tenon: out of memory\n", stderr);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "tenon: %s\n", error.what());
    }
    return tenon::cli::kExitFailure;
}
