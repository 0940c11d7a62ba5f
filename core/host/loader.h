// The only dlopen of Tenon: verifies a plugin as data, then loads exactly what was verified.
#pragma once

#include <tenon/abi.h>

#include <cstddef>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/host/backend.h"
#include "core/host/manifest.h"
#include "core/host/sched_policy.h"
#include "core/host/trust.h"

namespace tenon::host {

// A plugin whose path, manifest, digest, ELF note and requirements passed; no code of it ran. Of a
// data manifest `file` is the manifest, and there are no bytes.
struct VerifiedPlugin {
    Manifest manifest;
    TrustedPath file;
    std::vector<std::byte> bytes;  // of the file, as hashed
};

// The first step of verify_plugin: path, manifest and, of a data manifest, which is the whole plugin,
// the allowlist. `file` is the manifest.
Result<VerifiedPlugin> verify_manifest(const TrustedPath& folder, const std::string& name,
                                       const Trust& trust);
// Verifies the plugin in `folder`, an opened plugin folder. The manifest's id must be the folder's
// name `name`. One sentence says what is wrong.
Result<VerifiedPlugin> verify_plugin(const TrustedPath& folder, const std::string& name,
                                     const Trust& trust);

// Loads and activates it; the code stays for the process. A plugin with the same digest is loaded
// once. An admin-owned file is opened by its path after it was found unchanged; any other one from a
// sealed copy in memory of the verified bytes. An exception out of the plugin's functions is an error;
// an abort, a fault or an exception in its constructors ends the process, as nothing inside a process
// can prevent that: loading_plugin() lets a signal handler say whose fault it was.
// kInvalid when the manifest does not name the kind that is asked for.
// [load]: callers are serialised.
Result<Backend> load_backend(const VerifiedPlugin& plugin);
Result<SchedPlugin> load_sched(const VerifiedPlugin& plugin);

// Id of the plugin whose code is being loaded and activated now, or null. Async-signal-safe; the text
// lives until that load ends.
const char* loading_plugin() noexcept;

// Whether `table`, as a plugin handed it out, has this ABI's size and no null slot.
Status check_backend_table(const tenon_backend_table* table);
Status check_sched_table(const tenon_sched_table* table);

}  // namespace tenon::host
