// tenon VERB ...: finds the verb and runs it.
#include "core/cli/arguments.h"
#include "core/cli/crash.h"
#include "core/cli/plugin_log.h"
#include "core/cli/verb.h"
#include "core/config/nearest.h"

#include <tenon/abi.h>

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace tenon::cli {

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
    if (word == "--help" || word == "-h" || (word == "help" && argc < 3)) {
        print_help();
        return kExitOk;
    }
    if (word == "help") {
        char help[] = "--help";
        std::vector<char*> words = {argv[0]};
        words.insert(words.end(), argv + 2, argv + argc);
        words.insert(words.end(), {help, nullptr});
        return run(static_cast<int>(words.size()) - 1, words.data());
    }
    if (word == "--version") {
        fmt::print("tenon {} (plugin ABI v{} revision {}, {:016x})\n", TENON_VERSION,
                   TENON_ABI_VERSION, TENON_ABI_REVISION, TENON_ABI_FINGERPRINT);
        return kExitOk;
    }
    std::vector<std::string> names = {"--help", "--version", "help"};
    for (const Verb* const* verb = kVerbs; *verb != nullptr; ++verb) {
        if (word == (*verb)->name) return (*verb)->run(argc - 1, argv + 1);
        names.emplace_back((*verb)->name);
    }
    if (word.empty()) {
        fmt::print(stderr, "tenon: a verb is missing\nTry 'tenon --help'.\n");
        return kExitUsage;
    }
    const std::string close = config::nearest(word, names);
    fmt::print(stderr, "tenon: unknown {} '{}'{}\nTry 'tenon --help'.\n",
               word.front() == '-' ? "option" : "verb", word,
               close.empty() ? "" : fmt::format("; did you mean '{}'?", close));
    return kExitUsage;
}

// A standard stream that the caller closed must not become a model file: reads from it and writes
// to it fail instead.
void hold_standard_streams() {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(stream, F_GETFD) != -1) continue;
        // The lowest free number is the closed one.
        const int held = open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        static_cast<void>(held);
    }
}

// Ends a verb: what could not be written is a failure, not a short answer.
int finish(int code) {
    const bool written = std::ferror(stdout) == 0 && std::fflush(stdout) == 0;
    if (written || code == kExitUsage || code == kExitConfig) return code;
    if (code == kExitOk) std::fputs("tenon: standard output cannot be written\n", stderr);
    return kExitFailure;
}

}  // namespace

}  // namespace tenon::cli

int main(int argc, char** argv) {
    tenon::cli::explain_crashes();
    tenon::cli::hold_standard_streams();
    tenon::cli::show_plugin_lines();
    try {
        return tenon::cli::finish(tenon::cli::run(argc, argv));
    } catch (const std::bad_alloc&) {
        std::fputs("tenon: out of memory\n", stderr);
    } catch (const std::system_error&) {  // what fmt throws when a write fails
        std::fputs("tenon: standard output cannot be written\n", stderr);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "tenon: %s\n", error.what());
    }
    return tenon::cli::kExitFailure;
}
