#include "core/hub/hub_cache.h"

#include "core/hub/file_lock.h"
#include "core/hub/resolve.h"
#include "core/hub/shelf.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <unistd.h>

namespace tenon::hub {
namespace {

namespace fs = std::filesystem;

const std::string kOld(40, '1'), kNew(40, '2');

class HubCacheTest : public testing::Test {
protected:
    void SetUp() override {
        fs::create_directories(root);
        places.cache = (root / "hub").string();
        places.models = (root / "models").string();
        places.endpoint = "https://hub.example";
    }
    void TearDown() override { fs::remove_all(root); }

    void publish(const std::string& name, const std::string& etag, const std::string& commit,
                 const std::string& content = "GGUF") {
        ASSERT_TRUE(cache().prepare(repo).ok());
        std::ofstream(cache().blob_path(repo, etag)) << content;
        const auto path = cache().publish(repo, "main", commit, {name, content.size(), etag, ""});
        ASSERT_TRUE(path.ok()) << path.error().message;
        EXPECT_TRUE(fs::is_symlink(*path));
        EXPECT_EQ(fs::file_size(*path), content.size());
    }
    HubCache cache() const { return HubCache(places.cache); }

    fs::path root = fs::path(testing::TempDir()) / ("hub_cache_test_" + std::to_string(getpid()));
    Places places;
    RepoName repo{"org", "repo"};
};

TEST_F(HubCacheTest, LaysFilesOutAsTheHubsOwnPackage) {
    publish("sub/m-Q4_0.gguf", "abc", kNew);
    const fs::path folder = root / "hub/models--org--repo";
    EXPECT_EQ(fs::read_symlink(folder / "snapshots" / kNew / "sub/m-Q4_0.gguf"),
              "../../../blobs/abc");
    EXPECT_EQ(cache().commit_of(repo, "main"), kNew);
    EXPECT_EQ(cache().lock_path(repo, "abc"),
              (root / "hub/.locks/models--org--repo/abc.lock").string());
    const auto files = cache().scan();
    ASSERT_EQ(files.size(), 1u);
    EXPECT_EQ(files[0].name, "sub/m-Q4_0.gguf");
    EXPECT_EQ(files[0].blob, fs::canonical(folder / "blobs/abc"));
}

TEST_F(HubCacheTest, NeverWritesOutsideItself) {
    ASSERT_TRUE(cache().prepare(repo).ok());
    for (const char* name : {"../../../evil", "/etc/evil", "a/../../b", ""})
        EXPECT_FALSE(cache().publish(repo, "main", kNew, {name, 1, "abc", ""}).ok()) << name;
    EXPECT_FALSE(cache().publish(repo, "../../x", kNew, {"a", 1, "abc", ""}).ok());
    EXPECT_FALSE(cache().publish(repo, "main", "../x", {"a", 1, "abc", ""}).ok());
    // A link on the way.
    fs::create_directories(root / "outside");
    fs::create_directories(root / "hub/models--org--repo/snapshots" / kNew);
    fs::create_directory_symlink(root / "outside",
                                 root / "hub/models--org--repo/snapshots" / kNew / "sub");
    EXPECT_FALSE(cache().publish(repo, "main", kNew, {"sub/m.gguf", 1, "abc", ""}).ok());
    EXPECT_TRUE(fs::is_empty(root / "outside"));
}

TEST_F(HubCacheTest, FindsTheNewestModelOfAName) {
    publish("m-Q4_0.gguf", "old", kOld);
    publish("m-Q4_0.gguf", "new", kNew);
    publish("m-Q8_0.gguf", "big", kNew);
    const auto found = find_model("org/repo:q4_0", places);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found->path, cache().snapshot_path(repo, kNew, "m-Q4_0.gguf"));
    EXPECT_EQ(found->name, "org/repo:Q4_0");
    EXPECT_EQ(find_model("org/repo", places)->name, "org/repo:Q4_0");
    const auto absent = find_model("org/repo:Q5_0", places);
    EXPECT_EQ(absent.error().code, Code::kConfig);
    EXPECT_NE(absent.error().message.find("tenon pull org/repo:Q5_0"), std::string::npos);
}

TEST_F(HubCacheTest, LeavesOutWhatIsBrokenOrIncomplete) {
    publish("m-Q4_0-00001-of-00002.gguf", "one", kNew);
    fs::create_symlink("../../blobs/gone",
                       root / "hub/models--org--repo/snapshots" / kNew / "x.gguf");
    fs::create_directories(root / "hub/models--../snapshots/x");
    std::ofstream(root / "hub/stray.gguf") << "x";
    EXPECT_EQ(cache().scan().size(), 1u);
    EXPECT_TRUE(cached_models(cache().scan()).empty());
    EXPECT_FALSE(find_model("org/repo", places).ok());
    publish("m-Q4_0-00002-of-00002.gguf", "two", kNew);
    const auto found = find_model("org/repo:Q4_0", places);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_TRUE(found->path.ends_with("m-Q4_0-00001-of-00002.gguf"));
}

TEST_F(HubCacheTest, RemovesBlobsThatNobodyUsesAnyMore) {
    publish("m-Q4_0.gguf", "shared", kOld, std::string(8192, 'x'));
    publish("m-Q4_0.gguf", "shared", kNew, std::string(8192, 'x'));
    publish("copy-Q4_1.gguf", "shared", kNew, std::string(8192, 'x'));
    publish("m-Q8_0.gguf", "own", kNew, std::string(16384, 'y'));
    ASSERT_TRUE(cache().publish(repo, "main", kNew, {"README.md", 1, "text", ""}).ok());
    const auto remove = [&](const char* name) -> uint64_t {
        const auto removal = plan_removal(name, places);
        EXPECT_TRUE(removal.ok()) << removal.error().message;
        const auto freed = remove_models(*removal, places);
        EXPECT_TRUE(freed.ok());
        return freed.ok() ? *freed : 0;
    };
    EXPECT_EQ(remove("org/repo:Q4_0"), 0u);  // the copy still uses the blob
    EXPECT_FALSE(fs::exists(root / "hub/models--org--repo/snapshots" / kOld));
    EXPECT_GE(remove("org/repo:Q4_1"), 8192u);
    EXPECT_FALSE(fs::exists(cache().blob_path(repo, "shared")));
    EXPECT_EQ(plan_removal("org/repo:Q4_0", places).error().code, Code::kInvalid);
    EXPECT_GE(remove("org/repo"), 16384u);
    // Other files of the repository are not ours.
    EXPECT_TRUE(fs::is_symlink(cache().snapshot_path(repo, kNew, "README.md")));
    EXPECT_EQ(cache().commit_of(repo, "main"), kNew);
}

TEST_F(HubCacheTest, RefusesToRemoveWhatIsLockedOrInUse) {
    publish("m-Q4_0.gguf", "abc", kNew);
    const Removal removal = *plan_removal("org/repo", places);
    {
        const auto lock = FileLock::try_lock(cache().lock_path(repo, "abc"));
        ASSERT_TRUE(lock.ok() && lock->has_value());
        EXPECT_FALSE((*FileLock::try_lock(cache().lock_path(repo, "abc"))).has_value());
        EXPECT_EQ(remove_models(removal, places).error().code, Code::kBusy);
    }
    EXPECT_TRUE(fs::exists(cache().blob_path(repo, "abc")));
    // A download that somebody else finished has the same lock as the file.
    std::ofstream(cache().partial_path(repo, "abc")) << "GG";
    EXPECT_TRUE(remove_models(*plan_removal("org/repo", places), places).ok());
    EXPECT_FALSE(fs::exists(root / "hub/models--org--repo"));
}

TEST_F(HubCacheTest, KnowsModelsOfTheCatalog) {
    fs::create_directories(root / "catalog");
    std::ofstream(root / "catalog/big-instruct.yaml")
        << "aliases: [big]\nfile: Big.gguf\nsize: 4\nsha256: " << std::string(64, 'a')
        << "\nsources:\n  - url: https://x.example/Big.gguf\n";
    places.catalogs = {(root / "absent").string(), (root / "catalog").string()};
    const auto absent = find_model("big", places);
    EXPECT_EQ(absent.error().code, Code::kConfig);
    EXPECT_NE(absent.error().message.find("tenon pull big"), std::string::npos);
    EXPECT_EQ(list_models(places)->front().state, ShelfModel::State::kAbsent);
    fs::create_directories(root / "models");
    std::ofstream(root / "models/Big.gguf") << "GG";
    EXPECT_FALSE(find_model("big", places).ok());
    std::ofstream(root / "models/Big.gguf") << "GGUF";
    EXPECT_EQ(find_model("big", places)->path, (root / "models/Big.gguf").string());
    EXPECT_EQ(find_model("big-instruct", places)->name, "big-instruct");
    EXPECT_EQ(list_models(places)->front().state, ShelfModel::State::kFetched);
    for (const char* path : {"/models/x.gguf", "x.gguf", "./big", "a/b.gguf"})
        EXPECT_EQ(find_model(path, places)->path, path);
    EXPECT_NE(
        find_model("big-instrct", places).error().message.find("did you mean 'big-instruct'?"),
        std::string::npos);
    EXPECT_NE(find_model("zzz", places).error().message.find("which holds: big-instruct, big"),
              std::string::npos);
    EXPECT_GT(*remove_models(*plan_removal("big", places), places), 0u);
    EXPECT_FALSE(fs::exists(root / "models/Big.gguf"));
}

}  // namespace
}  // namespace tenon::hub
