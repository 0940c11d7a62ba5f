// tenon devices: what each backend can compute on here.
#include "core/base/json_writer.h"
#include "core/cli/session.h"
#include "core/cli/table.h"
#include "core/cli/verb.h"
#include "core/engine/device.h"

#include <fmt/format.h>

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

struct Found {
    std::string backend, version;
    tenon_device_info info{};
};

struct Silent {
    std::string backend, reason;
};

// Devices of every usable backend, and why the others have none.
void look(const host::Registry& registry, const std::string& wanted, std::vector<Found>& found,
          std::vector<Silent>& silent) {
    for (const host::Candidate& plugin : registry.candidates()) {
        if (wanted != "auto" && plugin.id != wanted) continue;
        if (!plugin.usable) {
            silent.push_back({plugin.id, plugin.reason});
            continue;
        }
        if (!plugin.has_kind("backend")) continue;
        const Result<host::Backend> backend = registry.load(plugin.id);
        if (!backend.ok()) {
            silent.push_back({plugin.id, backend.error().message});
            continue;
        }
        const Result<std::vector<tenon_device_info>> devices = backend->enumerate();
        if (!devices.ok()) {
            silent.push_back({plugin.id, devices.error().message});
            continue;
        }
        if (devices->empty()) silent.push_back({plugin.id, "no device on this machine"});
        for (const tenon_device_info& info : *devices)
            found.push_back({plugin.id, plugin.version, info});
    }
}

std::string uuid_text(const uint8_t (&uuid)[16]) {
    std::string text;
    for (const uint8_t byte : uuid)
        text += fmt::format("{:02x}", byte);
    return text;
}

void print_json(const std::vector<Found>& found, const std::vector<Silent>& silent) {
    JsonWriter out;
    out.begin_object().key("devices").begin_array();
    for (const Found& device : found) {
        const tenon_device_info& info = device.info;
        out.begin_object().field("backend", device.backend).field("version", device.version);
        out.field("kind", kind_name(info.kind)).field("name", info.name);
        out.field("detail", info.detail).field("memory_bytes", info.memory_bytes);
        out.field("memory_free_bytes", info.memory_free_bytes).field("threads", info.threads);
        out.field("uuid", uuid_text(info.uuid)).end_object();
    }
    out.end_array().key("without").begin_array();
    for (const Silent& backend : silent) {
        out.begin_object().field("backend", backend.backend).field("reason", backend.reason);
        out.end_object();
    }
    out.end_array().end_object();
    fmt::print("{}\n", out.text());
}

int run(int argc, char** argv) {
    EngineArguments engine;
    bool json = false;
    Arguments arguments("devices",
                        "Lists what can be computed on: each backend's devices, their memory, and "
                        "the\ninstruction set or driver that was picked.");
    declare_config(arguments, engine);
    arguments.flag("--json", json, "one object: devices, without");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (const auto code = resolve("devices", engine)) return *code;
    const Result<host::Registry> registry = engine::scan_plugins(engine.config);
    if (!registry.ok()) return report("devices", registry.error());
    std::vector<Found> found;
    std::vector<Silent> silent;
    look(*registry, engine.config.backend, found, silent);
    if (json) {
        print_json(found, silent);
    } else {
        Table table({"BACKEND", "KIND", "DEVICE", "MEMORY", "FREE", "THREADS", "DETAIL"});
        for (const Found& device : found) {
            const tenon_device_info& info = device.info;
            table.row({device.backend, kind_name(info.kind), info.name,
                       size_text(info.memory_bytes), size_text(info.memory_free_bytes),
                       info.threads == 0 ? "-" : std::to_string(info.threads), info.detail});
        }
        fmt::print("{}", table.text());
        for (const Silent& backend : silent)
            fmt::print("{}: {}\n", backend.backend, backend.reason);
    }
    if (!found.empty()) return kExitOk;
    return report("devices", {Code::kUnsupported, "no backend has a device on this machine; see "
                                                  "'tenon plugins list --why'"});
}

}  // namespace

extern const Verb kVerb_devices;
const Verb kVerb_devices = {"devices", "what can be computed on here", true, run};

}  // namespace tenon::cli
