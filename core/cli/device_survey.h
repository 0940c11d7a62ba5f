// Every plugin of this installation and every device of its backends, for the verbs that list them.
#pragma once

#include "core/host/registry.h"

#include <tenon/abi.h>

#include <string>
#include <vector>

namespace tenon::cli {

// A device as one backend sees it.
struct Sighting {
    std::string backend, version;  // of the plugin
    tenon_device_info info{};
};

// A device, seen by one backend or more: the same one, if the uuid is. The first sighting is of the
// backend that comes first in the registry.
using SeenDevice = std::vector<Sighting>;

// A line that a plugin had for the host's log while it was loaded and asked.
struct PluginLine {
    tenon_log_level level;
    std::string text;
};

struct PluginReport {
    std::string id;
    bool good = false;  // usable, loads, lists its devices
    bool backend = false;
    std::string text;               // why it is not good, or what it is; empty: its devices say it
    std::vector<PluginLine> lines;  // errors, warnings and information
};

struct DeviceSurvey {
    std::vector<PluginReport> plugins;  // in the registry's order
    std::vector<SeenDevice> devices;
    // "a" or "a, b": the backends that see it.
    static std::string backends_of(const SeenDevice& device);
};

// Puts a sighting to the device of the same uuid if another backend saw it, else makes it a new
// one. A uuid of zeros is none.
void add_sighting(std::vector<SeenDevice>& devices, Sighting sighting);

// Loads what `wanted` names ("auto": all) and asks it. Takes the host's log for that time, so no
// other code of a plugin may run meanwhile; then lines are shown as `plugin_log` has it.
DeviceSurvey survey_devices(const host::Registry& registry, const std::string& wanted);

}  // namespace tenon::cli
