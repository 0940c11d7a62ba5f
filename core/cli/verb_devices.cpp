// tenon devices: what each backend can compute on here.
#include "core/base/json_writer.h"
#include "core/cli/device_survey.h"
#include "core/cli/session.h"
#include "core/cli/table.h"
#include "core/cli/verb.h"
#include "core/config/nearest.h"
#include "core/engine/device.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace tenon::cli {

namespace {

const char* kind_name(uint32_t kind) {
    switch (kind) {
        case TENON_DEVICE_CPU: return "cpu";
        case TENON_DEVICE_GPU: return "gpu";
        case TENON_DEVICE_IGPU: return "igpu";
        case TENON_DEVICE_NULL: return "null";
        default: return "unknown";
    }
}

std::string uuid_text(const uint8_t (&uuid)[16]) {
    std::string text;
    for (const uint8_t byte : uuid)
        text += fmt::format("{:02x}", byte);
    return text;
}

// What keeps a plugin from having a device; empty when it has one or is no backend.
std::string reason_of(const PluginReport& plugin, const DeviceSurvey& survey) {
    const auto has_one = [&](const SeenDevice& device) {
        return std::any_of(device.begin(), device.end(),
                           [&](const Sighting& seen) { return seen.backend == plugin.id; });
    };
    if (plugin.good && !plugin.backend) return {};
    if (std::any_of(survey.devices.begin(), survey.devices.end(), has_one)) return {};
    std::string reason = plugin.text;
    for (const PluginLine& line : plugin.lines)
        reason += (reason.empty() ? "" : "; ") + line.text;
    return reason;
}

// Whether there is such a backend, usable or refused.
Status check_backend(const host::Registry& registry, const std::string& id) {
    std::vector<std::string> known;
    for (const host::Candidate& plugin : registry.candidates()) {
        if (!plugin.usable || plugin.has_kind("backend")) known.push_back(plugin.id);
    }
    if (id == "auto" || std::find(known.begin(), known.end(), id) != known.end()) return {};
    const std::string close = config::nearest(id, known);
    return Error{
        Code::kConfig,
        fmt::format("there is no backend '{}'; {} See 'tenon plugins list --why'.", id,
                    !close.empty()  ? fmt::format("did you mean '{}'?", close)
                    : known.empty() ? std::string("none is found.")
                                    : fmt::format("found are: {}.", fmt::join(known, ", ")))};
}

void print_json(const DeviceSurvey& survey) {
    JsonWriter out;
    out.begin_object().key("devices").begin_array();
    for (const SeenDevice& device : survey.devices) {
        const Sighting& first = device.front();
        const tenon_device_info& info = first.info;
        out.begin_object().field("backend", first.backend).field("version", first.version);
        out.field("kind", kind_name(info.kind)).field("name", info.name);
        out.field("detail", info.detail).field("memory_bytes", info.memory_bytes);
        out.field("memory_free_bytes", info.memory_free_bytes).field("threads", info.threads);
        out.field("uuid", uuid_text(info.uuid)).key("also").begin_array();
        for (size_t i = 1; i < device.size(); ++i) {
            out.begin_object().field("backend", device[i].backend);
            out.field("version", device[i].version).field("detail", device[i].info.detail);
            out.end_object();
        }
        out.end_array().end_object();
    }
    out.end_array().key("without").begin_array();
    for (const PluginReport& plugin : survey.plugins) {
        const std::string reason = reason_of(plugin, survey);
        if (reason.empty()) continue;
        out.begin_object().field("backend", plugin.id).field("reason", reason).end_object();
    }
    out.end_array().end_object();
    fmt::print("{}\n", out.text());
}

void print_text(const DeviceSurvey& survey) {
    Table table({"BACKEND", "KIND", "DEVICE", "MEMORY", "FREE", "THREADS", "DETAIL"});
    for (const SeenDevice& device : survey.devices) {
        const tenon_device_info& info = device.front().info;
        std::string detail;
        for (const Sighting& seen : device)
            detail += (detail.empty() ? "" : "; ") + std::string(seen.info.detail);
        table.row({DeviceSurvey::backends_of(device), kind_name(info.kind), info.name,
                   size_text(info.memory_bytes), size_text(info.memory_free_bytes),
                   info.threads == 0 ? "-" : std::to_string(info.threads), detail});
    }
    if (!survey.devices.empty()) fmt::print("{}", table.text());
    for (const PluginReport& plugin : survey.plugins) {
        const std::string reason = reason_of(plugin, survey);
        if (!reason.empty()) fmt::print("{}: {}\n", plugin.id, printable(reason));
    }
}

int run(int argc, char** argv) {
    EngineArguments engine;
    bool json = false;
    Arguments arguments("devices",
                        "Lists what can be computed on: each backend's devices, their memory, and "
                        "the\ninstruction set or driver that was picked. A device of several "
                        "backends is one line.");
    declare_config(arguments, engine);
    arguments.flag("--json", json, "one object: devices, without");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (const auto code = resolve("devices", engine)) return *code;
    const Result<host::Registry> registry = engine::scan_plugins(engine.config);
    if (!registry.ok()) return report("devices", registry.error());
    const std::string& wanted = engine.config.backend;
    if (const Status status = check_backend(*registry, wanted); !status.ok())
        return report("devices", status.error());
    const DeviceSurvey survey = survey_devices(*registry, wanted);
    if (json) {
        print_json(survey);
    } else {
        print_text(survey);
    }
    if (!survey.devices.empty()) return kExitOk;
    return report("devices",
                  {Code::kUnsupported,
                   fmt::format("{} on this machine; see 'tenon plugins list --why'",
                               wanted == "auto" ? "no backend has a device"
                                                : "backend " + wanted + " finds no device")});
}

}  // namespace

extern const Verb kVerb_devices;
const Verb kVerb_devices = {"devices", "what can be computed on here", true, run};

}  // namespace tenon::cli
