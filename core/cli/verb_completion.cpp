// tenon completion bash|zsh|fish: the script that a shell wants.
#include "core/cli/arguments.h"
#include "core/cli/completion.h"
#include "core/cli/verb.h"

#include <fmt/format.h>

namespace tenon::cli {

namespace {

int run(int argc, char** argv) {
    std::string shell;
    Arguments arguments("completion", "Prints a shell's completion script for tenon.");
    arguments.positional("SHELL", shell, "bash, zsh or fish").one_of({"bash", "zsh", "fish"});
    arguments.example("source <(tenon completion bash)");
    arguments.example("tenon completion zsh > ~/.zfunc/_tenon");
    arguments.example("tenon completion fish > ~/.config/fish/completions/tenon.fish");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    const std::vector<OptionTable> tables = listed_tables();
    fmt::print("{}", shell == "bash"  ? bash_completion(tables)
                     : shell == "zsh" ? zsh_completion(tables)
                                      : fish_completion(tables));
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_completion;
const Verb kVerb_completion = {"completion", "completion for bash, zsh or fish", true, run};

}  // namespace tenon::cli
