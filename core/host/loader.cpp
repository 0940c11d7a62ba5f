#include "core/host/loader.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

#include "core/base/bytes.h"
#include "core/host/cpu_features.h"
#include "core/host/elf_note.h"
#include "core/host/host_table.h"
#include "core/host/status.h"

namespace tenon::host {
namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
constexpr int kSealTries = 50;
constexpr unsigned kMemfdExec = 0x10;  // MFD_EXEC, Linux 6.3: memory that may become code

Error refuse(const std::string& sentence, Code code = Code::kInvalid) {
    return Error{code, sentence};
}

Status check_abi(const std::string& what, uint32_t revision, uint64_t fingerprint) {
    if (revision == TENON_ABI_REVISION && fingerprint == TENON_ABI_FINGERPRINT) return {};
    const char* age = revision < TENON_ABI_REVISION   ? "an older ABI"
                      : revision > TENON_ABI_REVISION ? "a newer ABI"
                                                      : "another ABI of the same revision";
    return refuse(
        fmt::format("{} was built for {}: revision {}, fingerprint {:016x}; this host has "
                    "revision {}, fingerprint {:016x}. Rebuild the plugin.",
                    what, age, revision, fingerprint, TENON_ABI_REVISION, TENON_ABI_FINGERPRINT),
        Code::kUnsupported);
}

Status check_platform(const Manifest& manifest, const std::string& path) {
    if (manifest.os != "linux") {
        return refuse(
            fmt::format("{}: The plugin is for {}, this is linux.", path, printable(manifest.os)),
            Code::kUnsupported);
    }
    if (manifest.arch != host_arch()) {
        return refuse(fmt::format("{}: The plugin is for {}, this machine is {}.", path,
                                  printable(manifest.arch), host_arch()),
                      Code::kUnsupported);
    }
    TENON_TRY(const auto missing, missing_cpu_features(manifest.cpu_requires));
    if (!missing.empty()) {
        return refuse(fmt::format("{}: The plugin needs a processor with {}, this one lacks it.",
                                  path, fmt::join(missing, ", ")),
                      Code::kUnsupported);
    }
    return {};
}

// A copy of plugin `id`, of `bytes`, that nobody can change any more.
Result<Fd> sealed_copy(const std::vector<std::byte>& bytes, const std::string& id) {
    const std::string name = "tenon-" + id;
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    Fd fd(memfd_create(name.c_str(), flags | kMemfdExec));
    if (!fd && errno == EINVAL) fd = Fd(memfd_create(name.c_str(), flags));
    const auto failed = [&](const char* what) {
        return refuse(fmt::format("A sealed copy of plugin {} cannot be {}: {}.", id, what,
                                  std::strerror(errno)));
    };
    if (!fd) return failed("made");
    for (size_t done = 0; done < bytes.size();) {
        const ssize_t put = write(fd.get(), bytes.data() + done, bytes.size() - done);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return failed("written");
        done += static_cast<size_t>(put);
    }
    // EBUSY while the kernel itself holds a page, to move it for instance: it has waited for some time
    // then, and gave up (memfd_wait_for_pins). Nobody else has the file.
    for (int tries = 1; fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0; ++tries)
        if (errno != EBUSY || tries == kSealTries) return failed("sealed");
    if (fcntl(fd.get(), F_GET_SEALS) != kSeals) return failed("sealed");
    return fd;
}

// Whether the path still leads to the very file that was verified.
Status check_unchanged(const VerifiedPlugin& plugin) {
    struct stat verified;
    struct stat now;
    if (fstat(plugin.file.fd.get(), &verified) != 0 || lstat(plugin.file.path.c_str(), &now) != 0 ||
        verified.st_dev != now.st_dev || verified.st_ino != now.st_ino ||
        verified.st_size != now.st_size || verified.st_mtim.tv_sec != now.st_mtim.tv_sec ||
        verified.st_mtim.tv_nsec != now.st_mtim.tv_nsec ||
        verified.st_ctim.tv_sec != now.st_ctim.tv_sec ||
        verified.st_ctim.tv_nsec != now.st_ctim.tv_nsec) {
        return refuse(fmt::format("{} changed after it was verified.", plugin.file.path));
    }
    return {};
}

// Runs code of the plugin; what it throws becomes an error.
template <class Call>
Status guarded(const std::string& id, const char* what, Call&& call) {
    try {
        return call();
    } catch (const std::exception& error) {
        return refuse(fmt::format("Plugin {} threw an exception out of {}: {}", id, what,
                                  printable(error.what())),
                      Code::kInternal);
    } catch (...) {
        return refuse(fmt::format("Plugin {} threw an exception out of {}.", id, what),
                      Code::kInternal);
    }
}

std::string_view view(tenon_str text) noexcept {
    return text.p == nullptr ? std::string_view() : std::string_view(text.p, text.n);
}

Status check_plugin_table(const tenon_plugin_table* table, const Manifest& manifest) {
    const std::string& id = manifest.id;
    if (table == nullptr) return refuse(fmt::format("Plugin {} opened without a table.", id));
    if (table->size != sizeof(tenon_plugin_table)) {
        return refuse(fmt::format("The table of plugin {} has {} bytes, wanted {}.", id,
                                  table->size, sizeof(tenon_plugin_table)));
    }
    TENON_CHECK(check_abi("The table of plugin " + id, table->revision, table->fingerprint));
    if (view(table->id) != id || view(table->version) != manifest.version) {
        return refuse(fmt::format("The plugin calls itself {} {}, its manifest says {} {}.",
                                  printable(view(table->id)), printable(view(table->version)), id,
                                  manifest.version));
    }
    if (table->activate == nullptr || table->deactivate == nullptr || table->iface == nullptr) {
        return refuse(fmt::format("The table of plugin {} has a null slot.", id));
    }
    return {};
}

// One loaded plugin; never unloaded.
struct Loaded {
    const tenon_plugin_table* table;  // null: it failed to load
    // The sealed copy stays open: were its number reused, the loader would take
    // /proc/self/fd/N of a later plugin for this one.
    int fd;
};

std::mutex g_mutex;
std::atomic<const char*> g_loading{nullptr};

// Marks a plugin as being loaded for as long as it lives. `id` must outlive it.
class LoadingMark {
public:
    explicit LoadingMark(const std::string& id) noexcept { g_loading.store(id.c_str()); }
    LoadingMark(const LoadingMark&) = delete;
    LoadingMark& operator=(const LoadingMark&) = delete;
    ~LoadingMark() { g_loading.store(nullptr); }
};

// An exception out of a constructor must not unwind the dynamic linker, which would keep its lock.
void* open_without_unwinding(const char* path) noexcept {
    return dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

std::map<Sha256Digest, Loaded>& loaded_plugins() {
    static auto* plugins = new std::map<Sha256Digest, Loaded>;  // outlives every static destructor
    return *plugins;
}

Result<void*> open_library(const VerifiedPlugin& plugin, int* kept_fd) {
    std::string path = plugin.file.path;
    Fd copy;
    if (plugin.file.admin_owned) {
        TENON_CHECK(check_unchanged(plugin));
    } else {
        TENON_TRY(copy, sealed_copy(plugin.bytes, plugin.manifest.id));
        path = fmt::format("/proc/self/fd/{}", copy.get());
    }
    *kept_fd = copy.release();
    void* library = open_without_unwinding(path.c_str());
    if (library == nullptr) {
        const char* why = dlerror();
        return refuse(fmt::format("Plugin {} cannot be loaded: {}.", plugin.manifest.id,
                                  printable(why == nullptr ? "no reason given" : why, 400)));
    }
    return library;
}

Result<const tenon_plugin_table*> activate(void* library, const Manifest& manifest) {
    const std::string& id = manifest.id;
    tenon_plugin_open_fn open = nullptr;
    void* symbol = dlsym(library, TENON_PLUGIN_OPEN_SYMBOL);
    if (symbol == nullptr) {
        return refuse(fmt::format("Plugin {} does not export {}.", id, TENON_PLUGIN_OPEN_SYMBOL));
    }
    std::memcpy(&open, &symbol, sizeof open);

    tenon_error error = make_abi_error();
    const tenon_plugin_table* table = nullptr;
    TENON_CHECK(guarded(id, TENON_PLUGIN_OPEN_SYMBOL, [&]() -> Status {
        const int32_t code = open(TENON_ABI_REVISION, TENON_ABI_FINGERPRINT, &table, &error);
        if (code == TENON_OK) return {};
        return error_from_abi(code, error, TENON_PLUGIN_OPEN_SYMBOL);
    }));
    TENON_CHECK(check_plugin_table(table, manifest));
    TENON_CHECK(guarded(id, "activate", [&]() -> Status {
        const int32_t code = table->activate(host_table(), &error);
        if (code == TENON_OK) return {};
        return error_from_abi(code, error, "activate")
            .within(fmt::format("Plugin {} refused to start", id));
    }));
    return table;
}

// Loads the plugin unless that was done before. `g_mutex` is held.
Result<const tenon_plugin_table*> load_plugin(const VerifiedPlugin& plugin) {
    const Manifest& manifest = plugin.manifest;
    const auto known = loaded_plugins().find(manifest.sha256);
    if (known != loaded_plugins().end()) {
        if (known->second.table == nullptr) {
            return refuse(fmt::format("Plugin {} failed to load before.", manifest.id));
        }
        return known->second.table;
    }
    int fd = -1;
    auto library = open_library(plugin, &fd);
    if (!library.ok()) {
        if (fd >= 0) close(fd);  // nothing was mapped from it
        return std::move(library).error();
    }
    // From here on code of the plugin ran: it stays, and so does its descriptor, whatever it answers.
    loaded_plugins()[manifest.sha256] = {nullptr, fd};
    TENON_TRY(const tenon_plugin_table* table, activate(*library, manifest));
    loaded_plugins()[manifest.sha256].table = table;
    return table;
}

// The table of interface `iface`, which plugins of `kind` offer.
Result<const void*> load_iface(const VerifiedPlugin& plugin, const char* kind, const char* iface) {
    const Manifest& manifest = plugin.manifest;
    const auto& kinds = manifest.kinds;
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
        return refuse(fmt::format("Plugin {} is no {}; its manifest says: {}.", manifest.id, kind,
                                  fmt::join(kinds, ", ")));
    }
    const std::lock_guard<std::mutex> lock(g_mutex);
    const LoadingMark mark(manifest.id);
    TENON_TRY(const tenon_plugin_table* table, load_plugin(plugin));
    const void* found = nullptr;
    TENON_CHECK(guarded(manifest.id, "iface", [&]() -> Status {
        found = table->iface(iface);
        return {};
    }));
    if (found == nullptr) {
        return refuse(fmt::format("Plugin {} does not offer {}.", manifest.id, iface));
    }
    return found;
}

// Whether a table of `bytes` bytes whose slots start at `first` has none that is null.
Status check_table(const void* table, uint32_t size, size_t bytes, size_t first,
                   std::string_view name) {
    if (size != bytes) {
        return refuse(fmt::format("The {} table has {} bytes, wanted {}.", name, size, bytes));
    }
    for (size_t i = 0; first + i * sizeof(uintptr_t) < bytes; ++i) {
        uintptr_t slot = 0;
        std::memcpy(&slot, static_cast<const char*>(table) + first + i * sizeof slot, sizeof slot);
        if (slot == 0) {
            return refuse(
                fmt::format("Slot {} of the {} table is null; every slot is mandatory.", i, name));
        }
    }
    return {};
}

Status of_plugin(Status status, const std::string& id) {
    if (status.ok()) return status;
    return std::move(status).error().within("Plugin " + id);
}

}  // namespace

Status check_backend_table(const tenon_backend_table* table) {
    return check_table(table, table->size, sizeof *table, offsetof(tenon_backend_table, enumerate),
                       "backend");
}

Status check_sched_table(const tenon_sched_table* table) {
    return check_table(table, table->size, sizeof *table, offsetof(tenon_sched_table, create),
                       "sched");
}

const char* loading_plugin() noexcept { return g_loading.load(); }

Result<VerifiedPlugin> verify_manifest(const TrustedPath& folder, const std::string& name,
                                       const Trust& trust) {
    VerifiedPlugin plugin;
    TENON_TRY(plugin.file, open_trusted_file_in(folder, "plugin.yaml", trust.caller));
    TENON_TRY(const auto text, read_file(plugin.file, kManifestBytesMax));
    TENON_TRY(plugin.manifest, parse_manifest(as_text(text), plugin.file.path));
    Manifest& manifest = plugin.manifest;
    if (manifest.id != name) {
        return refuse(fmt::format("{}: The manifest's id is {}, its folder is {}.",
                                  plugin.file.path, manifest.id, name));
    }
    if (manifest.is_data()) {
        manifest.sha256 = sha256(text);
        TENON_CHECK(check_allowed(trust, manifest));
    }
    return plugin;
}

Result<VerifiedPlugin> verify_plugin(const TrustedPath& folder, const std::string& name,
                                     const Trust& trust) {
    TENON_TRY(VerifiedPlugin plugin, verify_manifest(folder, name, trust));
    const Manifest& manifest = plugin.manifest;
    if (manifest.is_data()) return plugin;
    const std::string manifest_path = plugin.file.path;
    TENON_CHECK(check_platform(manifest, manifest_path));
    TENON_CHECK(
        check_abi("Plugin " + manifest.id, manifest.abi_revision, manifest.abi_fingerprint));
    TENON_CHECK(check_allowed(trust, manifest));
    TENON_TRY(plugin.file, open_trusted_file_in(folder, manifest.file, trust.caller));
    TENON_TRY(plugin.bytes, read_file(plugin.file, kPluginBytesMax));
    const Sha256Digest digest = sha256(plugin.bytes);
    if (digest != manifest.sha256) {
        return refuse(fmt::format("{} has sha256 {}, its manifest says {}.", plugin.file.path,
                                  to_hex(digest), to_hex(manifest.sha256)));
    }
    TENON_TRY(const PluginElf elf, parse_plugin_elf(plugin.bytes, plugin.file.path));
    TENON_CHECK(check_abi(plugin.file.path, elf.abi_revision, elf.abi_fingerprint));
    if (elf.id != manifest.id) {
        return refuse(fmt::format("{}: The note says the plugin is {}, the manifest says {}.",
                                  plugin.file.path, printable(elf.id), manifest.id));
    }
    return plugin;
}

Result<Backend> load_backend(const VerifiedPlugin& plugin) {
    TENON_TRY(const void* found, load_iface(plugin, "backend", TENON_IFACE_BACKEND));
    const auto* table = static_cast<const tenon_backend_table*>(found);
    TENON_CHECK(of_plugin(check_backend_table(table), plugin.manifest.id));
    return Backend(plugin.manifest.id, plugin.manifest.version, table);
}

Result<SchedPlugin> load_sched(const VerifiedPlugin& plugin) {
    TENON_TRY(const void* found, load_iface(plugin, "sched", TENON_IFACE_SCHED));
    const auto* table = static_cast<const tenon_sched_table*>(found);
    TENON_CHECK(of_plugin(check_sched_table(table), plugin.manifest.id));
    return SchedPlugin(plugin.manifest.id, plugin.manifest.version, table);
}

}  // namespace tenon::host
