// From configuration to an opened device: search, trust, load, pick.
#pragma once

#include "core/base/result.h"
#include "core/config/fields.h"
#include "core/formats/format_table.h"
#include "core/host/backend.h"
#include "core/host/registry.h"

#include <string>

namespace tenon::engine {

// A device and the plugin it came from.
struct OpenedDevice {
    host::Device device;
    std::string backend;  // id of the plugin
    tenon_device_info info{};
};

// Every plugin that `config` lets the host find. Runs no code of a plugin.
Result<host::Registry> scan_plugins(const config::EngineConfig& config);

// The built-in weight formats and those that manifests of kind quant declare. A manifest whose
// formats cannot be had is left out; the table says why where a file asks for one of them.
Result<formats::FormatTable> find_formats(const config::EngineConfig& config);

// Opens the first device of config.backend, or with "auto" the best device of all usable backends:
// GPU before integrated GPU before CPU, never one that does nothing. kUnsupported says where it
// looked; kConfig names a backend or an option that is not there.
Result<OpenedDevice> open_device(const config::EngineConfig& config);

// A device for what the one of `first` does not take: the first CPU of another backend, opened with
// the options of its section. kUnsupported when there is none.
Result<OpenedDevice> open_second_device(const config::EngineConfig& config,
                                        const tenon_device_info& first);

}  // namespace tenon::engine
