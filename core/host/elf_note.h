// Reads a plugin's ELF file as data: its note, machine and exports, before any of its code runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/result.h"

namespace tenon::host {

// What the file itself says.
struct PluginElf {
    uint32_t abi_revision = 0;
    uint64_t abi_fingerprint = 0;
    std::string id;
};

// Name of the ELF machine this process runs on, as a manifest's arch: x86_64 or aarch64.
const char* host_arch() noexcept;

// Checks `bytes` of a plugin's file; `where` names it in messages. A shared object for this machine
// with exactly one "tenon" note and exactly one exported symbol, tenon_plugin_open_v0; no search path
// of its own, no text relocations, no executable stack. kData when the ELF structure is broken,
// kUnsupported when it is another machine's, else kInvalid. Reads nothing outside of `bytes`.
Result<PluginElf> parse_plugin_elf(std::span<const std::byte> bytes, const std::string& where);

}  // namespace tenon::host
