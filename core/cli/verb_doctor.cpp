// tenon doctor: does this machine and this installation work?
#include "core/base/json_writer.h"
#include "core/cli/device_survey.h"
#include "core/cli/session.h"
#include "core/cli/table.h"
#include "core/cli/verb.h"
#include "core/engine/device.h"

#include <tenon/abi.h>

#include <fmt/format.h>

#include <algorithm>

namespace tenon::cli {

namespace {

struct Finding {
    std::string what;
    bool good;
    std::string text;
};

// What each plugin is, has and says, and what its devices are; one backend's device that another
// sees too names that one.
std::vector<Finding> findings_of(const DeviceSurvey& survey) {
    std::vector<Finding> findings;
    for (const PluginReport& plugin : survey.plugins) {
        const std::string what = "plugin " + plugin.id;
        if (!plugin.text.empty()) findings.push_back({what, plugin.good, plugin.text});
        for (const SeenDevice& device : survey.devices) {
            for (const Sighting& seen : device) {
                if (seen.backend != plugin.id) continue;
                std::string text = fmt::format("{}: {}", seen.info.name, seen.info.detail);
                if (seen.backend != device.front().backend)
                    text += fmt::format("; the same device as plugin {}'s", device.front().backend);
                findings.push_back({what, true, std::move(text)});
            }
        }
        for (const PluginLine& line : plugin.lines)
            findings.push_back({what, line.level != TENON_LOG_ERROR, line.text});
    }
    return findings;
}

bool computes(const SeenDevice& device) { return device.front().info.kind != TENON_DEVICE_NULL; }

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
    const DeviceSurvey survey = survey_devices(*registry, "auto");
    const bool any_device = std::any_of(survey.devices.begin(), survey.devices.end(), computes);
    std::vector<Finding> findings = findings_of(survey);
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
            fmt::print("  {:4} {}: {}\n", f.good ? "ok" : "BAD", f.what, printable(f.text));
    }
    return any_device ? kExitOk : kExitFailure;
}

}  // namespace

extern const Verb kVerb_doctor;
const Verb kVerb_doctor = {"doctor", "does this installation work here", true, run};

}  // namespace tenon::cli
