// tenon rm NAME: takes a fetched model away.
#include "core/base/json_writer.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/hub/byte_text.h"
#include "core/hub/shelf.h"

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include <unistd.h>

namespace tenon::cli {

namespace {

std::string names_of(const hub::Removal& removal) {
    std::vector<std::string> names;
    for (const hub::ShelfModel& model : removal.models) {
        const bool is_fetched = model.state == hub::ShelfModel::State::kFetched;
        names.push_back(model.name + (is_fetched ? "" : " (unfinished)"));
    }
    return fmt::format("{}", fmt::join(names, ", "));
}

// Asks on standard error; only a clear yes is one.
bool is_agreed(const hub::Removal& removal) {
    fmt::print(stderr, "Remove {}, {}? [y/N] ", names_of(removal),
               hub::format_bytes(removal.bytes));
    std::fflush(stderr);
    char answer[16] = {};
    if (std::fgets(answer, sizeof answer, stdin) == nullptr) return false;
    const std::string text(answer);
    return text == "y\n" || text == "Y\n" || text == "yes\n";
}

int run(int argc, char** argv) {
    std::string model;
    bool yes = false, json = false;
    Arguments arguments(
        "rm",
        "Removes a fetched model, or a download that was begun. Files that other models of the\n"
        "cache use too stay. A model that a process has open is not removed.");
    arguments.positional("MODEL", model, "a name of 'tenon models'; org/repo: all models of it");
    arguments.flag("-y,--yes", yes, "do not ask");
    arguments.flag("--json", json, "one object: removed, freed_bytes; needs --yes");
    arguments.example("tenon rm smollm2-135m-instruct");
    arguments.example("tenon rm Qwen/Qwen3-8B-GGUF --yes");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (!yes && (json || isatty(STDIN_FILENO) != 1)) {
        fmt::print(stderr,
                   "tenon rm: nobody can be asked here; add --yes to remove without a question\n");
        return kExitUsage;
    }
    const hub::Places places = hub::read_places();
    const Result<hub::Removal> removal = hub::plan_removal(model, places);
    if (!removal.ok()) return report("rm", removal.error());
    if (!yes && !is_agreed(*removal)) {
        fmt::print(stderr, "tenon rm: nothing was removed\n");
        return kExitFailure;
    }
    const Result<uint64_t> freed = hub::remove_models(*removal, places);
    if (!freed.ok()) return report("rm", freed.error());
    if (!json) {
        fmt::print("{} removed, {} freed\n", names_of(*removal), hub::format_bytes(*freed));
        return kExitOk;
    }
    JsonWriter out;
    out.begin_object().key("removed").begin_array();
    for (const hub::ShelfModel& one : removal->models)
        out.value(one.name);
    out.end_array().field("freed_bytes", *freed).end_object();
    fmt::print("{}\n", out.text());
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_rm;
const Verb kVerb_rm = {"rm", "remove a fetched model", true, run};

}  // namespace tenon::cli
