// plugin.yaml: what a plugin says of itself, read before any of its code runs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/sha256.h"
#include "core/host/declared_format.h"
#include "core/host/option_spec.h"

namespace tenon::host {

// Limits of a manifest; aliases and anchors are refused.
constexpr size_t kManifestBytesMax = 64 * 1024;
constexpr size_t kManifestDepthMax = 8;
constexpr size_t kManifestNodesMax = 4096;

struct Manifest {
    std::string id;       // [a-z][a-z0-9_-]*, at most 64 bytes
    std::string version;  // digits and dots first, at most 64 bytes
    std::vector<std::string> kinds;
    uint32_t abi_revision = 0;
    uint64_t abi_fingerprint = 0;
    std::string os;
    std::string arch;
    std::vector<std::string> cpu_requires;  // names of core/host/cpu_features.h
    std::vector<std::string> device_nodes;  // see may_have_device; patterns of glob(3) below /dev/
    std::string file;                       // a name beside the manifest, no path
    Sha256Digest sha256{};                  // of `file`; verify_plugin: of a data manifest itself
    std::vector<OptionSpec> options;
    std::vector<DeclaredFormat> formats;  // of kind quant, which has none of what follows `kinds`

    // The manifest is the whole plugin: no file beside it, no code.
    bool is_data() const noexcept { return kinds.size() == 1 && kinds[0] == "quant"; }
};

// Whether the kernel shows one of these device nodes, without opening it; true for a plugin that names
// none. Where false, what the plugin would load to look for its devices can wait.
bool may_have_device(const std::vector<std::string>& device_nodes);

// Parses the bytes of a manifest; `where` names them in messages. Unknown and missing keys, wrong
// types, a file outside of the folder: one kInvalid sentence with the line.
Result<Manifest> parse_manifest(std::string_view text, const std::string& where);

}  // namespace tenon::host
