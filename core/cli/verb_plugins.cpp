// tenon plugins list: what was found, and with --why where it was looked for and why it was
// refused.
#include "core/base/json_writer.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/engine/device.h"

#include <fmt/format.h>

namespace tenon::cli {

namespace {

void print_json(const host::Registry& registry) {
    JsonWriter json;
    json.begin_object().key("places").begin_array();
    for (const host::PlaceReport& place : registry.places()) {
        json.begin_object().field("path", place.place.path);
        json.field("origin", host::origin_name(place.place.origin))
            .field("searched", place.searched);
        json.field("note", place.note).end_object();
    }
    json.end_array().key("plugins").begin_array();
    for (const host::Candidate& plugin : registry.candidates()) {
        json.begin_object().field("id", plugin.id).field("version", plugin.version);
        json.array("kinds", plugin.kinds).field("path", plugin.path).field("usable", plugin.usable);
        json.field("reason", plugin.reason).field("sha256", plugin.sha256).end_object();
    }
    json.end_array().end_object();
    fmt::print("{}\n", json.text());
}

void print_text(const host::Registry& registry, bool why) {
    if (why) {
        fmt::print("looked in, first to last:\n");
        for (const host::PlaceReport& place : registry.places()) {
            fmt::print("  {} ({}): {}\n", place.place.path, host::origin_name(place.place.origin),
                       place.note);
        }
        fmt::print("\nplugins:\n");
    }
    for (const host::Candidate& plugin : registry.candidates()) {
        fmt::print("{}{:10} {:10} {:10} {}\n", why ? "  " : "", plugin.id, plugin.version,
                   fmt::format("{}", fmt::join(plugin.kinds, ",")),
                   plugin.usable ? "usable" : "refused");
        if (why) fmt::print("      {}\n      {}\n", plugin.path, plugin.reason);
    }
    if (registry.candidates().empty()) fmt::print("no plugin was found\n");
    if (!why)
        fmt::print(
            "\n'tenon plugins list --why' says where each was found and why one is refused.\n");
}

int run(int argc, char** argv) {
    EngineArguments engine;
    std::string what;
    bool why = false, json = false;
    Arguments arguments("plugins", "Lists plugins without running any of their code.");
    arguments.positional("list", what, "the one thing it does so far").propose({"list"});
    declare_config(arguments, engine);
    arguments.flag("--why", why, "every path looked at, every refusal and its reason");
    arguments.flag("--json", json, "one object: places, plugins");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (what != "list") {
        fmt::print(stderr, "tenon plugins: expected 'list', got '{}'\n", what);
        return kExitUsage;
    }
    if (const auto code = resolve("plugins", engine)) return *code;
    const Result<host::Registry> registry = engine::scan_plugins(engine.config);
    if (!registry.ok()) return report("plugins", registry.error());
    if (json) {
        print_json(*registry);
    } else {
        print_text(*registry, why);
    }
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_plugins;
const Verb kVerb_plugins = {"plugins", "plugins found, and why one is refused", true, run};

}  // namespace tenon::cli
