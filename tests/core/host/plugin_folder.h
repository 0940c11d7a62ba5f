// A temporary folder of plugins, and what the tests of the host do with it.
#pragma once

#include <gtest/gtest.h>
#include <tenon/abi.h>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/base/sha256.h"
#include "core/host/elf_note.h"
#include "core/host/registry.h"

namespace tenon::host {

inline std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in.good()) << path;
    return std::string(std::istreambuf_iterator<char>(in), {});
}

inline void write_text(const std::string& path, const std::string& text) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << text;
    ASSERT_TRUE(out.good()) << path;
}

inline std::string digest_of(const std::string& bytes) {
    return to_hex(sha256(std::as_bytes(std::span(bytes.data(), bytes.size()))));
}

// The file that the build made of a test plugin.
inline std::string built_plugin(const std::string& id) {
    return fmt::format("{}/tests/plugins/{}/{}.so", TENON_BINARY_DIR, id, id);
}

// A manifest whose fields a test can bend.
struct ManifestText {
    std::string id;
    std::string version = "1.0.0";
    std::string kinds = "backend";
    uint32_t revision = TENON_ABI_REVISION;
    uint64_t fingerprint = TENON_ABI_FINGERPRINT;
    std::string arch = host_arch();
    std::string file;
    std::string sha256;
    std::string more;

    std::string text() const {
        return fmt::format(
            "id: \"{}\"\nversion: {}\nkinds: [{}]\n"
            "abi: {{revision: {}, fingerprint: \"{:016x}\"}}\nos: linux\narch: {}\n"
            "file: {}\nsha256: \"{}\"\n{}",
            id, version, kinds, revision, fingerprint, arch, file, sha256, more);
    }
};

// Every test has a folder of its own below /tmp, a root-owned sticky folder, with mode 0700.
class PluginFolderTest : public testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/tenon-host-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        root_ = name;
        plugins_ = root_ + "/plugins";
        make_folder(plugins_);
    }
    void TearDown() override { std::filesystem::remove_all(root_); }

    static void make_folder(const std::string& path) {
        ASSERT_EQ(mkdir(path.c_str(), 0755), 0) << path;
        ASSERT_EQ(chmod(path.c_str(), 0755), 0) << path;
    }
    static void set_mode(const std::string& path, mode_t mode) {
        ASSERT_EQ(chmod(path.c_str(), mode), 0) << path;
    }

    // Installs `bytes` as plugin `id` into `folder`; `manifest` fields left empty are filled.
    void install_bytes(const std::string& id, const std::string& bytes, ManifestText manifest = {},
                       std::string folder = {}) {
        if (folder.empty()) folder = plugins_;
        const std::string home = folder + "/" + id;
        make_folder(home);
        if (manifest.id.empty()) manifest.id = id;
        if (manifest.file.empty()) manifest.file = id + ".so";
        if (manifest.sha256.empty()) manifest.sha256 = digest_of(bytes);
        write_text(home + "/" + id + ".so", bytes);
        write_text(home + "/plugin.yaml", manifest.text());
        set_mode(home + "/" + id + ".so", 0755);
        set_mode(home + "/plugin.yaml", 0644);
    }
    void install(const std::string& id, ManifestText manifest = {}, std::string folder = {}) {
        install_bytes(id, read_text(built_plugin(id)), std::move(manifest), std::move(folder));
    }

    Registry scan(const Trust& trust = {}) const {
        return Registry::scan({{plugins_, SearchPlace::Origin::kConfigured, {}}}, trust);
    }
    // The reason that scan gives for `id`; fails the test when it is usable or absent.
    std::string refusal(const std::string& id, const Trust& trust = {}) const {
        const Registry registry = scan(trust);
        for (const Candidate& candidate : registry.candidates()) {
            if (candidate.id != id) continue;
            EXPECT_FALSE(candidate.usable) << candidate.reason;
            EXPECT_FALSE(registry.load(id).ok());
            return candidate.reason;
        }
        ADD_FAILURE() << "no candidate " << id;
        return {};
    }
    // The error of load for a plugin that scan took.
    std::string load_error(const std::string& id) const {
        const Registry registry = scan();
        EXPECT_NE(registry.find(id), nullptr)
            << (registry.candidates().empty() ? "nothing found" : registry.candidates()[0].reason);
        const auto backend = registry.load(id);
        EXPECT_FALSE(backend.ok());
        return backend.ok() ? std::string() : backend.error().message;
    }

    std::string root_;
    std::string plugins_;
};

}  // namespace tenon::host
