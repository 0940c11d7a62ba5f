// tenon engine: the process that computes for `tenon serve`, which starts it.
#include "core/cli/arguments.h"
#include "core/cli/verb.h"
#include "core/engine/engine_process.h"

#include <fmt/format.h>

#include <unistd.h>

namespace tenon::cli {

namespace {

int run(int argc, char** argv) {
    uint32_t socket = 0, page = 0, parent = 0;
    Arguments arguments("engine", "Computes for the `tenon serve` that started it.");
    arguments.option("--socket", socket, "descriptor of the connection to the front");
    arguments.option("--page", page, "descriptor of the progress page");
    arguments.option("--parent", parent, "process id of the front");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (!arguments.given("socket") || !arguments.given("page") || !arguments.given("parent")) {
        fmt::print(stderr, "tenon engine: it is started by `tenon serve`, not by hand\n");
        return kExitUsage;
    }
    engine::EngineProcess process;
    process.socket = static_cast<int>(socket);
    process.page = static_cast<int>(page);
    process.parent = static_cast<pid_t>(parent);
    process.start = engine::start_engine;
    process.exit_now = [](int code) { _exit(code); };
    return engine::serve_engine(std::move(process));
}

}  // namespace

extern const Verb kVerb_engine;
const Verb kVerb_engine = {"engine", "the engine process of `serve`", false, run};

}  // namespace tenon::cli
