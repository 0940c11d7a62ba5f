#include "core/hub/catalog.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace tenon::hub {
namespace {

const std::string kSha(64, 'a');

std::string entry(const std::string& more) {
    return fmt::format("file: M.gguf\nsize: 7\nsha256: {}\n{}", kSha, more);
}

std::string mistakes(const std::string& text) {
    const Result<CatalogEntry> read = parse_catalog_entry(text, "m.yaml");
    return read.ok() ? "" : read.error().message;
}

TEST(Catalog, ReadsEveryKindOfSource) {
    const Result<CatalogEntry> read = parse_catalog_entry(
        entry(
            "aliases: [mm]\nsources:\n  - path: ~/m.gguf\n  - hub: org/repo\n    file: sub/M.gguf\n"
            "  - url: https://x.example/M.gguf?sig=secret\n  - s3: s3://bucket/M.gguf\n"
            "  - pypi: pkg\n    version: 1.0\n    sha256: " +
            kSha + "\n    member: pkg/M.gguf\n"),
        "folder/model.yaml");
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->name, "model");
    EXPECT_TRUE(read->is_called("mm"));
    ASSERT_EQ(read->sources.size(), 5u);
    EXPECT_EQ(read->sources[1].revision, "main");
    EXPECT_EQ(read->sources[1].label(), "hub org/repo");
    EXPECT_EQ(read->sources[2].label(), "https://x.example/M.gguf");
    EXPECT_EQ(read->sources[4].version, "1.0");
}

TEST(Catalog, NamesEveryMistakeAtItsPlace) {
    const std::string said = mistakes(
        "fiel: M.gguf\nsize: many\nsha256: x\nsources:\n  - hubb: a/b\n  - pypi: p\n  - hub: "
        "../x\n");
    for (const char* part :
         {"m.yaml:1:1: 'fiel' is not known here; did you mean 'file'?\n    fiel: M.gguf\n    ^",
          "m.yaml:1:1: 'file' is missing", "m.yaml:2:7: size: expected a whole number",
          "m.yaml:3:9: sha256: expected 64", "m.yaml:5:5: a source begins with path, hub",
          "'version' is missing beside pypi", "m.yaml:7:10: hub: expected a repository"}) {
        EXPECT_NE(said.find(part), std::string::npos) << part << "\nin:\n" << said;
    }
}

TEST(Catalog, RefusesFilesThatLeaveTheirFolder) {
    for (const char* file : {"../M.gguf", "/M.gguf", ".M.gguf", "a/b.gguf"}) {
        EXPECT_NE(mistakes(fmt::format("file: {}\nsize: 7\nsha256: {}\nsources: [{{path: /x}}]\n",
                                       file, kSha))
                      .find("m.yaml:1:7: file: expected a file name"),
                  std::string::npos);
    }
}

TEST(Catalog, RefusesWhatIsNoYaml) {
    for (const char* text : {"", "a: [", "- x", "\t", "a: *b", "x"})
        EXPECT_EQ(mistakes(text).rfind("m.yaml:", 0), 0u) << text;
    EXPECT_FALSE(mistakes(std::string(60000, '[')).empty());
    EXPECT_FALSE(mistakes(std::string(70000, '#')).empty());
}

TEST(Catalog, OfThisRepositoryIsSound) {
    const auto entries = read_catalog({TENON_SOURCE_DIR "/configs/models"});
    ASSERT_TRUE(entries.ok()) << entries.error().message;
    ASSERT_FALSE(entries->empty());
    EXPECT_TRUE(entries->front().is_called("smollm2-135m"));
}

}  // namespace
}  // namespace tenon::hub
