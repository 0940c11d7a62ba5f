#include "core/config/catalog.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <unistd.h>

namespace tenon::config {
namespace {

namespace fs = std::filesystem;

class CatalogTest : public testing::Test {
protected:
    void SetUp() override {
        fs::create_directories(root / "catalog");
        fs::create_directories(root / "cache");
        std::ofstream(root / "catalog/big-instruct.yaml")
            << "name: big-instruct\naliases: [big]\nfile: Big.gguf\nsize: 4\n";
        std::ofstream(root / "catalog/broken.yaml") << "a: [\n";
        std::ofstream(root / "catalog/outside.yaml") << "file: ../Big.gguf\nsize: 4\n";
        places.catalogs = {(root / "absent").string(), (root / "catalog").string()};
        places.cache = (root / "cache").string();
    }
    void TearDown() override { fs::remove_all(root); }
    fs::path root = fs::path(testing::TempDir()) / ("catalog_test_" + std::to_string(getpid()));
    CatalogPlaces places;
};

TEST_F(CatalogTest, FindsTheFileOfANameOrAnAlias) {
    std::ofstream(root / "cache/Big.gguf") << "GGUF";
    for (const char* name : {"big-instruct", "big"}) {
        const Result<std::string> path = resolve_model(name, places);
        ASSERT_TRUE(path.ok()) << path.error().message;
        EXPECT_EQ(*path, (root / "cache/Big.gguf").string());
    }
}

TEST_F(CatalogTest, SaysHowToFetchWhatIsNotThereOrNotWhole) {
    for (const char* content : {"", "GG"}) {
        if (*content != '\0') std::ofstream(root / "cache/Big.gguf") << content;
        const Result<std::string> path = resolve_model("big", places);
        ASSERT_FALSE(path.ok());
        EXPECT_EQ(path.error().code, Code::kConfig);
        EXPECT_NE(path.error().message.find("pull.py big-instruct"), std::string::npos);
    }
}

TEST_F(CatalogTest, LeavesPathsAlone) {
    for (const char* path : {"/models/x.gguf", "x.gguf", "./big"})
        EXPECT_EQ(resolve_model(path, places).value(), path);
}

TEST_F(CatalogTest, NamesTheModelThatWasMeant) {
    EXPECT_NE(resolve_model("big-instrct", places).error().message.find("did you mean 'big-instruct'?"),
              std::string::npos);
    EXPECT_NE(resolve_model("zzz", places).error().message.find("which holds: big-instruct, big"),
              std::string::npos);
    EXPECT_FALSE(resolve_model("outside", places).ok());
    EXPECT_NE(resolve_model("x", {}).error().message.find("holds: nothing"), std::string::npos);
}

}  // namespace
}  // namespace tenon::config
