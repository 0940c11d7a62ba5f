// Attacks on the way from a folder to loaded code. Each one is refused with one sentence.
#include "core/host/trust.h"

#include <fcntl.h>

#include <filesystem>

#include "core/host/loader.h"
#include "tests/core/host/plugin_folder.h"

namespace tenon::host {
namespace {

constexpr uid_t kStranger = 12345;

class TrustAttack : public PluginFolderTest {
protected:
    // Gives `path` to somebody else; without root, makes the caller a stranger to it instead.
    Trust alienate(const std::string& path) {
        Trust trust;
        if (geteuid() == 0) {
            EXPECT_EQ(chown(path.c_str(), kStranger, kStranger), 0) << path;
        } else {
            trust.caller = kStranger;
        }
        return trust;
    }
};

TEST_F(TrustAttack, HonestPluginIsLoadedFromASealedCopy) {
    install("good");
    const Registry registry = scan();
    ASSERT_EQ(registry.candidates().size(), 1u);
    EXPECT_TRUE(registry.candidates()[0].usable) << registry.candidates()[0].reason;
    EXPECT_EQ(registry.candidates()[0].reason, "It would be loaded from a sealed copy in memory.");
    const auto backend = registry.load("good");
    ASSERT_TRUE(backend.ok()) << backend.error().message;
    const auto devices = backend->enumerate();
    ASSERT_TRUE(devices.ok());
    EXPECT_TRUE(devices->empty());
}

TEST_F(TrustAttack, AdminOwnedPluginIsLoadedByItsPath) {
    const char* home = std::getenv("HOME");
    const auto chain = open_trusted_folder(home == nullptr ? "" : home, geteuid());
    if (!chain.ok() || !chain->admin_owned) {
        GTEST_SKIP() << "needs a home folder that root alone can change";
    }
    std::string folder = std::string(home) + "/.tenon-host-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    install("other", {}, folder);
    const Registry registry =
        Registry::scan({{folder, SearchPlace::Origin::kConfigured, {}}}, Trust());
    const auto backend = registry.load("other");
    const std::string reason = registry.candidates().at(0).reason;
    std::filesystem::remove_all(folder);
    EXPECT_TRUE(backend.ok()) << backend.error().message;
    EXPECT_EQ(reason, "It would be loaded by its path, which only root can change.");
}

TEST_F(TrustAttack, GroupWritableFile) {
    install("good");
    set_mode(plugins_ + "/good/good.so", 0775);
    EXPECT_EQ(refusal("good"),
              plugins_ +
                  "/good/good.so can be written by its group (mode 0775), wanted its owner "
                  "alone.");
}

TEST_F(TrustAttack, WorldWritableManifest) {
    install("good");
    set_mode(plugins_ + "/good/plugin.yaml", 0666);
    EXPECT_EQ(refusal("good"),
              plugins_ +
                  "/good/plugin.yaml can be written by everyone (mode 0666), wanted its owner "
                  "alone.");
}

TEST_F(TrustAttack, WorldWritablePluginFolder) {
    install("good");
    set_mode(plugins_ + "/good", 0777);
    EXPECT_EQ(refusal("good"),
              plugins_ + "/good can be written by everyone (mode 0777), wanted its owner alone.");
}

TEST_F(TrustAttack, WorldWritableAncestor) {
    install("good");
    set_mode(root_, 0777);
    const Registry registry = scan();
    EXPECT_TRUE(registry.candidates().empty());
    EXPECT_EQ(registry.places().at(0).note,
              root_ + " can be written by everyone (mode 0777), wanted its owner alone.");
}

TEST_F(TrustAttack, StickyAncestorOfRootIsAccepted) {
    struct stat s;
    ASSERT_EQ(stat("/tmp", &s), 0);
    if (s.st_uid != 0 || (s.st_mode & 01777) != 01777) {
        GTEST_SKIP() << "/tmp is no root-owned sticky folder here";
    }
    const auto folder = open_trusted_folder(plugins_, geteuid());
    ASSERT_TRUE(folder.ok()) << folder.error().message;
    EXPECT_FALSE(folder->admin_owned);
}

TEST_F(TrustAttack, StickyFolderWithAStrangersFolderInside) {
    install("good");
    const Trust trust = alienate(root_);
    const Registry registry = scan(trust);
    EXPECT_TRUE(registry.candidates().empty());
    EXPECT_EQ(registry.places().at(0).note,
              fmt::format("{} belongs to user {}, wanted root or user {}.", root_,
                          geteuid() == 0 ? kStranger : geteuid(), trust.caller));
}

TEST_F(TrustAttack, StickyFolderOfAUserIsRefused) {
    if (geteuid() == 0) {
        // A stranger's sticky folder: the owner check comes first.
        install("good");
        set_mode(root_, 01777);
        const Trust trust = alienate(root_);
        EXPECT_EQ(scan(trust).places().at(0).note,
                  fmt::format("{} belongs to user {}, wanted root or user 0.", root_, kStranger));
    } else {
        install("good");
        set_mode(root_, 01777);
        EXPECT_EQ(scan().places().at(0).note,
                  root_ + " can be written by everyone (mode 1777), wanted its owner alone.");
    }
}

TEST_F(TrustAttack, StickyPlaceItselfIsRefused) {
    install("good");
    set_mode(plugins_, 01777);
    EXPECT_EQ(scan().places().at(0).note,
              plugins_ + " can be written by everyone (mode 1777), wanted its owner alone.");
}

TEST_F(TrustAttack, WrongOwner) {
    install("good");
    const Trust trust = alienate(plugins_ + "/good/good.so");
    if (geteuid() == 0) {
        EXPECT_EQ(refusal("good", trust), plugins_ +
                                              "/good/good.so belongs to user 12345, wanted "
                                              "root or user 0.");
    } else {
        EXPECT_NE(scan(trust).places().at(0).note.find("belongs to user"), std::string::npos);
    }
}

TEST_F(TrustAttack, FileIsASymbolicLink) {
    install("good");
    const std::string file = plugins_ + "/good/good.so";
    std::filesystem::rename(file, root_ + "/elsewhere.so");
    std::filesystem::create_symlink(root_ + "/elsewhere.so", file);
    EXPECT_EQ(refusal("good"), file + " is a symbolic link; a plugin's path may hold none.");
}

TEST_F(TrustAttack, FolderIsASymbolicLink) {
    install("good", {}, root_);
    std::filesystem::create_symlink(root_ + "/good", plugins_ + "/good");
    EXPECT_EQ(refusal("good"),
              plugins_ + "/good is a symbolic link; a plugin's path may hold none.");
}

TEST_F(TrustAttack, PlaceLiesBehindASymbolicLink) {
    install("good");
    std::filesystem::create_symlink(plugins_, root_ + "/link");
    const Registry registry =
        Registry::scan({{root_ + "/link", SearchPlace::Origin::kEnvironment, {}}}, Trust());
    EXPECT_TRUE(registry.candidates().empty());
    EXPECT_EQ(registry.places().at(0).note,
              root_ + "/link is a symbolic link; a plugin's path may hold none.");
}

TEST_F(TrustAttack, PlaceClimbsUp) {
    const auto folder = open_trusted_folder(plugins_ + "/../plugins", geteuid());
    ASSERT_FALSE(folder.ok());
    EXPECT_EQ(folder.error().message, plugins_ + "/../plugins holds a step '..'.");
}

TEST_F(TrustAttack, ManifestNamesAFileElsewhere) {
    ManifestText manifest;
    manifest.file = "../elsewhere.so";
    install("good", manifest);
    EXPECT_EQ(refusal("good"), plugins_ +
                                   "/good/plugin.yaml:7: file is '../elsewhere.so', wanted a "
                                   "name in the manifest's own folder.");
}

TEST_F(TrustAttack, FileIsAFifo) {
    install("good");
    const std::string file = plugins_ + "/good/good.so";
    ASSERT_EQ(unlink(file.c_str()), 0);
    ASSERT_EQ(mkfifo(file.c_str(), 0700), 0);
    EXPECT_EQ(refusal("good"), file + " is a FIFO, wanted a regular file.");
}

TEST_F(TrustAttack, ManifestIsAFolder) {
    install("good");
    const std::string file = plugins_ + "/good/plugin.yaml";
    ASSERT_EQ(unlink(file.c_str()), 0);
    make_folder(file);
    EXPECT_EQ(refusal("good"), file + " is a folder, wanted a regular file.");
}

TEST_F(TrustAttack, DigestMismatch) {
    install("good");
    const std::string file = plugins_ + "/good/good.so";
    const std::string bytes = read_text(file);
    write_text(file, bytes + "x");
    EXPECT_EQ(refusal("good"), fmt::format("{} has sha256 {}, its manifest says {}.", file,
                                           digest_of(bytes + "x"), digest_of(bytes)));
}

TEST_F(TrustAttack, FileSwappedAfterItWasFound) {
    install("good");
    const Registry registry = scan();
    ASSERT_NE(registry.find("good"), nullptr);
    std::filesystem::remove_all(plugins_ + "/good");
    install_bytes("good", read_text(built_plugin("good")) + "swapped");
    const auto backend = registry.load("good");
    ASSERT_FALSE(backend.ok());
    EXPECT_EQ(
        backend.error().message,
        fmt::format("{}/good/good.so changed after it was found: its sha256 was {}, now it is "
                    "{}.",
                    plugins_, digest_of(read_text(built_plugin("good"))),
                    digest_of(read_text(built_plugin("good")) + "swapped")));
}

TEST_F(TrustAttack, FileSwappedAfterItWasVerified) {
    // A digest of its own, so that no earlier load answers.
    install_bytes("good", read_text(built_plugin("good")) + "swapped after");
    const auto folder = open_trusted_folder(plugins_ + "/good", geteuid());
    ASSERT_TRUE(folder.ok());
    const auto plugin = verify_plugin(*folder, "good", Trust());
    ASSERT_TRUE(plugin.ok()) << plugin.error().message;
    write_text(plugins_ + "/good/good.so", "these are not the bytes that were verified");
    const auto backend = load_backend(*plugin);
    EXPECT_TRUE(backend.ok()) << backend.error().message;
}

TEST_F(TrustAttack, DescriptorNumberIsNeverReused) {
    const auto load = [&](const std::string& id, const std::string& tail) {
        install_bytes(id, read_text(built_plugin(id)) + tail);
        return scan().load(id);
    };
    const auto first = load("good", "first descriptor");
    ASSERT_TRUE(first.ok()) << first.error().message;
    const auto second = load("other", "second descriptor");
    ASSERT_TRUE(second.ok()) << second.error().message;
    EXPECT_NE(first->table(), second->table());
    EXPECT_EQ(second->id(), "other");
}

TEST_F(TrustAttack, CurrentFolderIsNeverSearched) {
    install("good", {}, root_);
    const std::filesystem::path before = std::filesystem::current_path();
    std::filesystem::current_path(root_);
    SearchInputs inputs;
    inputs.env_path = ".::plugins";
    const auto places = plan_search_path(inputs);
    const Registry registry = Registry::scan(places, Trust());
    std::filesystem::current_path(before);
    EXPECT_EQ(registry.find("good"), nullptr);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(registry.places().at(i).note,
                  "The path is not absolute; the current folder is never searched.");
    }
}

TEST_F(TrustAttack, ModelFolderIsNeverSearched) {
    const std::string models = root_ + "/models";
    make_folder(models);
    make_folder(models + "/plugins");
    write_text(models + "/model.gguf", "GGUF");
    install("good", {}, models);
    install("good", {}, models + "/plugins");
    const std::filesystem::path before = std::filesystem::current_path();
    std::filesystem::current_path(models);
    const Registry registry = Registry::scan(plan_search_path(read_search_inputs({})), Trust());
    std::filesystem::current_path(before);
    for (const Candidate& candidate : registry.candidates()) {
        EXPECT_EQ(candidate.path.find(root_), std::string::npos) << candidate.path;
    }
    const auto backend = registry.load("good");
    ASSERT_FALSE(backend.ok());
    EXPECT_EQ(backend.error().message.rfind("There is no backend 'good'; found: ", 0), 0u)
        << backend.error().message;
}

TEST_F(TrustAttack, EnvironmentUnderRaisedPrivileges) {
    install("good");
    SearchInputs inputs;
    inputs.env_path = plugins_;
    inputs.home = root_;
    inputs.at_secure = true;
    const Registry registry = Registry::scan(plan_search_path(inputs), Trust());
    EXPECT_EQ(registry.find("good"), nullptr);
    for (size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(registry.places().at(i).note,
                  "The program runs with raised privileges (AT_SECURE), so places chosen by the "
                  "environment are not searched.");
    }
    inputs.at_secure = false;
    EXPECT_NE(Registry::scan(plan_search_path(inputs), Trust()).find("good"), nullptr);
}

TEST_F(TrustAttack, DuplicateId) {
    const std::string second = root_ + "/second";
    make_folder(second);
    install("good");
    install("good", {}, second);
    install("other");
    const Registry registry = Registry::scan({{plugins_, SearchPlace::Origin::kConfigured, {}},
                                              {second, SearchPlace::Origin::kUser, {}}},
                                             Trust());
    EXPECT_EQ(registry.find("good"), nullptr);
    EXPECT_NE(registry.find("other"), nullptr) << "one bad plugin must not block the rest";
    const auto backend = registry.load("good");
    ASSERT_FALSE(backend.ok());
    EXPECT_EQ(
        backend.error().message,
        fmt::format("Backend good cannot be used: Plugin good is also in {0}/good; an id may be "
                    "found once, so neither is used. Plugin good is also in {1}/good; an id may "
                    "be found once, so neither is used.",
                    second, plugins_));
}

TEST_F(TrustAttack, OneBadPluginNeverBlocksTheRest) {
    install("good");
    make_folder(plugins_ + "/empty");
    EXPECT_EQ(refusal("empty"), plugins_ + "/empty/plugin.yaml does not exist.");
    EXPECT_NE(scan().find("good"), nullptr);
}

TEST_F(TrustAttack, FolderUnderAnotherName) {
    ManifestText manifest;
    manifest.id = "cpu";
    install("good", manifest);
    EXPECT_EQ(refusal("good"),
              plugins_ + "/good/plugin.yaml: The manifest's id is cpu, its folder is good.");
}

TEST_F(TrustAttack, NotOnTheAllowlist) {
    install("good");
    const std::string digest = digest_of(read_text(built_plugin("good")));
    Trust trust;
    trust.mode = Trust::Mode::kAllowlist;
    EXPECT_EQ(refusal("good", trust), "Plugin good is not on the allowlist.");
    trust.allowed = {{"good", "2.0.0", digest}};
    EXPECT_EQ(refusal("good", trust), "Plugin good has version 1.0.0, the allowlist names 2.0.0.");
    trust.allowed = {{"good", "1.0.0", std::string(64, '0')}};
    EXPECT_EQ(refusal("good", trust),
              fmt::format("Plugin good has sha256 {}, the allowlist names {}.", digest,
                          std::string(64, '0')));
    trust.allowed = {{"good", "1.0.0", digest}};
    EXPECT_NE(scan(trust).find("good"), nullptr);
}

}  // namespace
}  // namespace tenon::host
