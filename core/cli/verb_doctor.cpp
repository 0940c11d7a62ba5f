// tenon doctor: does this machine and this installation work?
#include "core/base/json_writer.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/engine/device.h"

#include <tenon/abi.h>

#include <fmt/format.h>

namespace tenon::cli {

namespace {

struct Finding {
    std::string what;
    bool good;
    std::string text;
};

Finding look_at_policy(const host::Registry& registry, const std::string& id,
                       const std::string& what) {
    const Result<host::SchedPlugin> plugin = registry.load_sched(id);
    if (!plugin.ok()) return {what, false, plugin.error().message};
    const auto policy = plugin->create();
    if (!policy.ok()) return {what, false, policy.error().message};
    return {what, true, "scheduling policy, loads"};
}

std::vector<Finding> look(const host::Registry& registry, bool* any_device) {
    std::vector<Finding> findings;
    for (const host::Candidate& plugin : registry.candidates()) {
        const std::string what = "plugin " + plugin.id;
        if (!plugin.usable) {
            findings.push_back({what, false, plugin.reason});
            continue;
        }
        if (plugin.has_kind("sched")) findings.push_back(look_at_policy(registry, plugin.id, what));
        if (!plugin.has_kind("backend")) continue;
        const Result<host::Backend> backend = registry.load(plugin.id);
        if (!backend.ok()) {
            findings.push_back({what, false, backend.error().message});
            continue;
        }
        const Result<std::vector<tenon_device_info>> devices = backend->enumerate();
        if (!devices.ok()) {
            findings.push_back({what, false, devices.error().message});
            continue;
        }
        if (devices->empty()) findings.push_back({what, true, "loads; no device on this machine"});
        for (const tenon_device_info& device : *devices) {
            *any_device |= device.kind != TENON_DEVICE_NULL;
            findings.push_back({what, true, fmt::format("{}: {}", device.name, device.detail)});
        }
    }
    return findings;
}

int run(int argc, char** argv) {
    EngineArguments engine;
    bool json = false;
    Arguments arguments("doctor",
                        "Loads every usable plugin, lists its devices and says what is wrong.");
    declare_config(arguments, engine);
    arguments.flag("--json", json, "one object: ok, findings");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (const auto code = resolve("doctor", engine)) return *code;
    const Result<host::Registry> registry = engine::scan_plugins(engine.config);
    if (!registry.ok()) return report("doctor", registry.error());
    bool any_device = false;
    std::vector<Finding> findings = look(*registry, &any_device);
    if (!any_device) {
        findings.push_back(
            {"devices", false,
             "no plugin has a device that computes; see 'tenon plugins list --why'"});
    }
    if (json) {
        JsonWriter out;
        out.begin_object().field("ok", any_device).key("findings").begin_array();
        for (const Finding& f : findings) {
            out.begin_object()
                .field("what", f.what)
                .field("ok", f.good)
                .field("text", f.text)
                .end_object();
        }
        out.end_array().end_object();
        fmt::print("{}\n", out.text());
    } else {
        fmt::print("plugin ABI v{} revision {}\n", TENON_ABI_VERSION, TENON_ABI_REVISION);
        for (const Finding& f : findings)
            fmt::print("  {:4} {}: {}\n", f.good ? "ok" : "BAD", f.what, f.text);
    }
    return any_device ? kExitOk : kExitFailure;
}

}  // namespace

extern const Verb kVerb_doctor;
const Verb kVerb_doctor = {"doctor", "does this installation work here", true, run};

}  // namespace tenon::cli
