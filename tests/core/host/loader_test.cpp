// Wrong binaries: each is refused with one sentence, before its code runs wherever that is possible.
#include "core/host/loader.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstddef>

#include "tests/core/host/plugin_folder.h"

namespace {
int g_busy_seals = 0;  // how many times more sealing finds the file busy
}

extern "C" int fcntl(int fd, int command, ...) {
    std::va_list rest;
    va_start(rest, command);
    const long argument = va_arg(rest, long);
    va_end(rest);
    if (command == F_ADD_SEALS && g_busy_seals > 0) {
        --g_busy_seals;
        errno = EBUSY;
        return -1;
    }
    static const auto real = reinterpret_cast<int (*)(int, int, ...)>(dlsym(RTLD_NEXT, "fcntl"));
    return real(fd, command, argument);
}

namespace tenon::host {
namespace {

class WrongBinary : public PluginFolderTest {
protected:
    static std::string good() { return read_text(built_plugin("good")); }

    // Place of the note's payload: the owner "tenon\0", padded to 8 bytes, comes right before it.
    static size_t note_payload(const std::string& bytes) {
        const char owner[] = "\x01\0\0\0tenon\0\0";  // type 1, then the owner
        const size_t at = bytes.find(std::string(owner, sizeof owner));
        EXPECT_NE(at, std::string::npos);
        return at + 4 + 8;
    }
    template <class T>
    static void put(std::string* bytes, size_t at, T value) {
        ASSERT_LE(at + sizeof value, bytes->size());
        std::memcpy(bytes->data() + at, &value, sizeof value);
    }
    std::string file(const std::string& id) const { return plugins_ + "/" + id + "/" + id + ".so"; }

    static std::string numbers(uint32_t revision, uint64_t fingerprint) {
        return fmt::format(
            "revision {}, fingerprint {:016x}; this host has revision {}, fingerprint "
            "{:016x}. Rebuild the plugin.",
            revision, fingerprint, TENON_ABI_REVISION, TENON_ABI_FINGERPRINT);
    }
};

TEST_F(WrongBinary, BuiltForAnOlderAbi) {
    std::string bytes = good();
    put<uint32_t>(&bytes, note_payload(bytes), TENON_ABI_REVISION - 1);
    install_bytes("good", bytes);
    EXPECT_EQ(refusal("good"), file("good") + " was built for an older ABI: " +
                                   numbers(TENON_ABI_REVISION - 1, TENON_ABI_FINGERPRINT));
}

TEST_F(WrongBinary, BuiltForANewerAbi) {
    std::string bytes = good();
    put<uint32_t>(&bytes, note_payload(bytes), TENON_ABI_REVISION + 1);
    put<uint64_t>(&bytes, note_payload(good()) + 4, 0x1234);
    install_bytes("good", bytes);
    EXPECT_EQ(refusal("good"), file("good") + " was built for a newer ABI: " +
                                   numbers(TENON_ABI_REVISION + 1, 0x1234));
}

TEST_F(WrongBinary, BuiltForAnotherAbiOfTheSameRevision) {
    std::string bytes = good();
    put<uint64_t>(&bytes, note_payload(bytes) + 4, 0x1234);
    install_bytes("good", bytes);
    EXPECT_EQ(refusal("good"), file("good") + " was built for another ABI of the same revision: " +
                                   numbers(TENON_ABI_REVISION, 0x1234));
}

TEST_F(WrongBinary, ManifestNamesAnOlderAbi) {
    ManifestText manifest;
    manifest.revision = 0;
    install("good", manifest);
    EXPECT_EQ(refusal("good"),
              "Plugin good was built for an older ABI: " + numbers(0, TENON_ABI_FINGERPRINT));
}

TEST_F(WrongBinary, BuiltForAnotherMachine) {
    std::string bytes = good();
    const bool arm = std::string(host_arch()) == "aarch64";
    put<uint16_t>(&bytes, offsetof(Elf64_Ehdr, e_machine), arm ? EM_X86_64 : EM_AARCH64);
    install_bytes("good", bytes);
    EXPECT_EQ(refusal("good"), fmt::format("{}: The plugin was built for {}, this machine is {}.",
                                           file("good"), arm ? "x86_64" : "aarch64", host_arch()));
}

TEST_F(WrongBinary, ManifestNamesAnotherMachine) {
    ManifestText manifest;
    manifest.arch = "riscv64";
    install("good", manifest);
    EXPECT_EQ(refusal("good"), fmt::format("{}/good/plugin.yaml: The plugin is for riscv64, this "
                                           "machine is {}.",
                                           plugins_, host_arch()));
}

TEST_F(WrongBinary, NeedsAnUnknownProcessorFeature) {
    ManifestText manifest;
    manifest.more = "cpu_requires: [flux_capacitor]\n";
    install("good", manifest);
    EXPECT_EQ(refusal("good").rfind("cpu_requires names 'flux_capacitor', which is not known here; "
                                    "known are ",
                                    0),
              0u);
}

TEST_F(WrongBinary, HasNoNote) {
    install("no_note");
    EXPECT_EQ(refusal("no_note"),
              file("no_note") + ": The plugin has no tenon note, so its ABI is unknown.");
}

TEST_F(WrongBinary, NoteAndManifestDisagree) {
    std::string bytes = good();
    const size_t id = note_payload(bytes) + 12;
    ASSERT_EQ(bytes.substr(id, 4), "good");
    put(&bytes, id, 'w');
    install_bytes("good", bytes);
    EXPECT_EQ(refusal("good"), file("good") +
                                   ": The note says the plugin is wood, the manifest says "
                                   "good.");
}

TEST_F(WrongBinary, ExportsTwoSymbols) {
    install("two_exports");
    EXPECT_EQ(refusal("two_exports"),
              file("two_exports") +
                  ": The plugin exports 'another_entry'; its only export may "
                  "be tenon_plugin_open_v0.");
}

TEST_F(WrongBinary, ExportsNothing) {
    install("no_export");
    EXPECT_EQ(refusal("no_export"),
              file("no_export") + ": The plugin does not export tenon_plugin_open_v0.");
}

TEST_F(WrongBinary, IsNoElfObject) {
    install_bytes("good", "#!/bin/sh\necho no\n");
    EXPECT_EQ(refusal("good"), file("good") + ": The file is no ELF object.");
}

TEST_F(WrongBinary, IsCutShort) {
    install_bytes("good", good().substr(0, 200));
    EXPECT_EQ(refusal("good"), file("good") + ": Program header 2 lies outside the file.");
}

TEST_F(WrongBinary, IsEmpty) {
    install_bytes("good", "");
    EXPECT_EQ(refusal("good"), file("good") + ": The file is no ELF object.");
}

TEST_F(WrongBinary, ThrowsInOpen) {
    install("open_throws");
    EXPECT_EQ(load_error("open_throws"),
              "Plugin open_throws threw an exception out of "
              "tenon_plugin_open_v0: no trampoline here");
}

TEST_F(WrongBinary, ThrowsInActivate) {
    install("throws");
    EXPECT_EQ(load_error("throws"),
              "Plugin throws refused to start: The plugin threw an exception: "
              "the driver is on fire");
}

TEST_F(WrongBinary, FailsInActivate) {
    install("declines");
    EXPECT_EQ(load_error("declines"),
              "Plugin declines refused to start: The driver is 1.0, wanted 2.0.");
}

TEST_F(WrongBinary, StaysRefusedAfterAFailedLoad) {
    install("declines");
    const Registry registry = scan();
    EXPECT_FALSE(registry.load("declines").ok());
    EXPECT_EQ(registry.load("declines").error().message, "Plugin declines failed to load before.");
}

TEST_F(WrongBinary, HasANullSlot) {
    install("null_slot");
    EXPECT_EQ(load_error("null_slot"),
              "Plugin null_slot: Slot 30 of the backend table is null; every "
              "slot is mandatory.");
}

TEST_F(WrongBinary, HasAShortTable) {
    install("short_table");
    EXPECT_EQ(load_error("short_table"),
              fmt::format("Plugin short_table: The backend table has {} bytes, wanted {}.",
                          sizeof(tenon_backend_table) - 8, sizeof(tenon_backend_table)));
}

TEST_F(WrongBinary, OffersNoBackend) {
    install("no_backend");
    EXPECT_EQ(load_error("no_backend"), "Plugin no_backend does not offer tenon.backend/0.");
}

// A byte behind the end makes a plugin that no other test has loaded; such tails are not read.
TEST_F(WrongBinary, ABusyCopyIsSealedLater) {
    install_bytes("good", good() + "1");
    const Registry registry = scan();
    g_busy_seals = 3;
    const auto loaded = registry.load("good");
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_EQ(g_busy_seals, 0);
}

TEST_F(WrongBinary, ACopyThatStaysBusyIsNotLoaded) {
    install_bytes("good", good() + "2");
    g_busy_seals = 1000000;
    EXPECT_EQ(load_error("good"),
              "A sealed copy of plugin good cannot be sealed: Device or resource busy.");
    EXPECT_LT(g_busy_seals, 1000000);
    g_busy_seals = 0;
}

TEST_F(WrongBinary, CallsItselfSomethingElse) {
    install("other_version");
    EXPECT_EQ(load_error("other_version"),
              "The plugin calls itself other_version 9.9.9, its manifest "
              "says other_version 1.0.0.");
}

// A constructor that faults or throws ends the process: code inside a process cannot be held back, so
// the promise is a clear end and not a refusal.
class CrashingConstructor : public WrongBinary, public testing::WithParamInterface<const char*> {};

TEST_P(CrashingConstructor, EndsTheProcessAndIsNamed) {
    const std::string id = GetParam();
    install(id);
    ASSERT_NE(scan().find(id), nullptr);
    EXPECT_EQ(loading_plugin(), nullptr);
    EXPECT_EXIT(
        {
            for (int signal : {SIGILL, SIGTRAP, SIGABRT, SIGSEGV}) {
                std::signal(signal, [](int) {
                    const char* culprit = loading_plugin();
                    if (culprit == nullptr) culprit = "nobody";
                    if (write(STDERR_FILENO, culprit, std::strlen(culprit)) < 0) _exit(1);
                    _exit(70);
                });
            }
            (void)scan().load(id).ok();
            _exit(0);
        },
        testing::ExitedWithCode(70), id);
}

INSTANTIATE_TEST_SUITE_P(WrongBinary, CrashingConstructor,
                         testing::Values("crashes", "constructor_throws"));

// The other direction: the host of an older or newer ABI gets both sides' numbers from the plugin.
TEST_F(WrongBinary, DirtyTailIsRefusedByThePlugin) {
    const Registry registry = Registry::scan(
        {{std::string(TENON_BINARY_DIR) + "/lib/tenon/plugins", SearchPlace::Origin::kBundle, {}}},
        Trust());
    if (registry.find("null") == nullptr) {
        GTEST_SKIP() << "the null backend is not usable here: "
                     << (registry.places().empty() ? "" : registry.places()[0].note);
    }
    const auto backend = registry.load("null");
    ASSERT_TRUE(backend.ok()) << backend.error().message;
    const auto devices = backend->enumerate();
    ASSERT_TRUE(devices.ok());
    ASSERT_EQ(devices->size(), 1u);
    const auto device = backend->open(devices->at(0).uuid);
    ASSERT_TRUE(device.ok()) << device.error().message;

    struct Longer {
        tenon_buffer_desc desc;
        uint64_t unknown;
    } longer = {{sizeof(Longer), TENON_BUF_INPUT, 64, 64}, 0};
    tenon_error error{};
    error.size = sizeof error;
    tenon_buffer* buffer = nullptr;
    const tenon_backend_table& table = *backend->table();
    EXPECT_EQ(table.buffer_alloc(device->handle(), &longer.desc, &buffer, &error), TENON_OK);
    table.buffer_free(buffer);
    longer.unknown = uint64_t{1} << 32;
    EXPECT_EQ(table.buffer_alloc(device->handle(), &longer.desc, &buffer, &error),
              TENON_UNSUPPORTED);
    EXPECT_STREQ(error.msg,
                 "tenon_buffer_desc has byte 28 set, behind the 24 bytes that this plugin "
                 "knows.");
    longer.desc.size = 8;
    EXPECT_EQ(table.buffer_alloc(device->handle(), &longer.desc, &buffer, &error), TENON_INVALID);
    EXPECT_STREQ(error.msg, "tenon_buffer_desc has size 8, this plugin needs 24.");
}

}  // namespace
}  // namespace tenon::host
