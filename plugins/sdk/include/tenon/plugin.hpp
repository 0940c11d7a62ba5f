// plugin.hpp: everything a plugin in C++17 needs. Public ABI only; links nothing of the host.
//
//     namespace sdk = tenon::sdk;
//     sdk::Status activate(const tenon_host&) { return {}; }
//     void deactivate() {}
//     const void* iface(const char* id) {
//         return sdk::same(id, TENON_IFACE_BACKEND) ? sdk::Backend<MyBackend>::table() : nullptr;
//     }
//     TENON_PLUGIN("mine", "1.0.0", activate, deactivate, iface)
//
// Build it with tenon_plugin() of configs/cmake/plugin.cmake.
#pragma once

#include <tenon/abi.h>
#include <tenon/sdk/backend.hpp>
#include <tenon/sdk/host.hpp>
#include <tenon/sdk/options.hpp>
#include <tenon/sdk/sched.hpp>
#include <tenon/sdk/status.hpp>
#include <tenon/sdk/structs.hpp>

namespace tenon::sdk {

inline bool same(const char* a, const char* b) noexcept {
    return a != nullptr && std::strcmp(a, b) == 0;
}

// Answer to tenon_plugin_open_v0: the table, or UNSUPPORTED with both sides' numbers.
inline int32_t open_plugin(const tenon_plugin_table& table, uint32_t host_revision,
                           uint64_t host_fingerprint, const tenon_plugin_table** plugin,
                           tenon_error* err) noexcept {
    if (plugin == nullptr) return Status(TENON_INVALID, "plugin is null.").report(err);
    *plugin = nullptr;
    if (host_fingerprint != TENON_ABI_FINGERPRINT || host_revision != TENON_ABI_REVISION) {
        return fail(TENON_UNSUPPORTED,
                    "Plugin %s %s was built for ABI revision %u, fingerprint %016llx; the host has "
                    "revision %u, fingerprint %016llx. Rebuild the plugin.",
                    table.id.p, table.version.p, TENON_ABI_REVISION,
                    static_cast<unsigned long long>(TENON_ABI_FINGERPRINT), host_revision,
                    static_cast<unsigned long long>(host_fingerprint))
            .report(err);
    }
    *plugin = &table;
    return TENON_OK;
}

template <class Activate>
int32_t activate_plugin(const tenon_host* host, tenon_error* err, Activate&& activate) noexcept {
    return at_boundary(err, [&]() -> Status {
        TENON_SDK_CHECK(check_size(host, "tenon_host"));
        g_host = host;
        return activate(*host);
    });
}

template <class Deactivate>
void deactivate_plugin(Deactivate&& deactivate) noexcept {
    at_boundary(nullptr, [&]() -> Status {
        deactivate();
        return Status();
    });
}

template <class Iface>
const void* iface_of_plugin(const char* id, Iface&& iface) noexcept {
    const void* table = nullptr;
    at_boundary(nullptr, [&]() -> Status {
        table = iface(id);
        return Status();
    });
    return table;
}

}  // namespace tenon::sdk

// The note that the host reads before any code runs: owner "tenon", type 1, 4-byte alignment;
// u32 revision, u64 fingerprint (both little-endian), NUL-terminated id.
#define TENON_PLUGIN_NOTE_(ID)                                                               \
    __attribute__((used, noinline, cold)) static void tenon_plugin_note_() {                 \
        __asm__ volatile(                                                                    \
            ".pushsection .note.tenon,\"a\",%%note\n\t"                                      \
            ".balign 4\n\t"                                                                  \
            ".long 6\n\t"                                                                    \
            ".long 12 + 1 + %c3\n\t"                                                         \
            ".long 1\n\t"                                                                    \
            ".asciz \"tenon\"\n\t"                                                           \
            ".balign 4\n\t"                                                                  \
            ".long %c0\n\t"                                                                  \
            ".long %c1\n\t"                                                                  \
            ".long %c2\n\t"                                                                  \
            ".asciz \"" ID                                                                   \
            "\"\n\t"                                                                         \
            ".balign 4\n\t"                                                                  \
            ".popsection"                                                                    \
            :                                                                                \
            : "i"(TENON_ABI_REVISION),                                                       \
              "i"(static_cast<uint32_t>(TENON_ABI_FINGERPRINT & 0xffffffffu)),               \
              "i"(static_cast<uint32_t>(TENON_ABI_FINGERPRINT >> 32)), "i"(sizeof(ID) - 1)); \
    }

// Emits the plugin's export, its table and its ELF note. Once per plugin, at namespace scope, outside
// of every namespace. ID and VERSION are string literals as in plugin.yaml; ID is [a-z0-9_-].
// ACTIVATE: Status(const tenon_host&), may throw. DEACTIVATE: void(). IFACE: const void*(const char*).
#define TENON_PLUGIN(ID, VERSION, ACTIVATE, DEACTIVATE, IFACE)                                 \
    namespace {                                                                                \
    TENON_PLUGIN_NOTE_(ID)                                                                     \
    const tenon_plugin_table tenon_plugin_table_ = {                                           \
        sizeof(tenon_plugin_table),                                                            \
        TENON_ABI_REVISION,                                                                    \
        TENON_ABI_FINGERPRINT,                                                                 \
        {ID, sizeof(ID) - 1},                                                                  \
        {VERSION, sizeof(VERSION) - 1},                                                        \
        [](const tenon_host* host, tenon_error* err) noexcept -> int32_t {                     \
            return ::tenon::sdk::activate_plugin(host, err, ACTIVATE);                         \
        },                                                                                     \
        []() noexcept { ::tenon::sdk::deactivate_plugin(DEACTIVATE); },                        \
        [](const char* id) noexcept -> const void* {                                           \
            return ::tenon::sdk::iface_of_plugin(id, IFACE);                                   \
        }};                                                                                    \
    }                                                                                          \
    extern "C" __attribute__((visibility("default"))) int32_t tenon_plugin_open_v0(            \
        uint32_t host_revision, uint64_t host_fingerprint, const tenon_plugin_table** plugin,  \
        tenon_error* err) noexcept {                                                           \
        return ::tenon::sdk::open_plugin(tenon_plugin_table_, host_revision, host_fingerprint, \
                                         plugin, err);                                         \
    }
