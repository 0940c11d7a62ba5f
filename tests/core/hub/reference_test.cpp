#include "core/hub/reference.h"

#include <gtest/gtest.h>

namespace tenon::hub {
namespace {

constexpr const char* kEndpoint = "https://hub.example";

TEST(Reference, KnowsNamesRepositoriesAndUrls) {
    EXPECT_EQ(parse_reference("smollm2-135m", kEndpoint)->kind, Reference::Kind::kName);
    const Reference repo = *parse_reference("org/some.Repo_1-GGUF:q4_k_m", kEndpoint);
    EXPECT_EQ(repo.kind, Reference::Kind::kRepo);
    EXPECT_EQ(repo.repo.id(), "org/some.Repo_1-GGUF");
    EXPECT_EQ(repo.repo.folder(), "models--org--some.Repo_1-GGUF");
    EXPECT_EQ(repo.quant, "q4_k_m");
    EXPECT_EQ(parse_reference("https://elsewhere.example/a.gguf", kEndpoint)->kind,
              Reference::Kind::kUrl);
    EXPECT_EQ(parse_reference("s3://bucket/a.gguf", kEndpoint)->kind, Reference::Kind::kUrl);
}

TEST(Reference, TakesThePagesOfTheHubApart) {
    for (const char* text : {"https://hub.example/org/repo", "hf.co/org/repo", "hf://org/repo",
                             "https://huggingface.co/org/repo/"}) {
        const Result<Reference> reference = parse_reference(text, kEndpoint);
        ASSERT_TRUE(reference.ok()) << text;
        EXPECT_EQ(reference->kind, Reference::Kind::kRepo) << text;
        EXPECT_EQ(reference->repo.id(), "org/repo") << text;
    }
    const Reference file = *parse_reference(
        "https://hub.example/org/repo/resolve/v2/sub/a.gguf?download=true", kEndpoint);
    EXPECT_EQ(file.revision, "v2");
    EXPECT_EQ(file.file, "sub/a.gguf");
    EXPECT_FALSE(parse_reference("https://hub.example/org/repo/tree/main", kEndpoint).ok());
    // Another host that only begins alike.
    EXPECT_EQ(parse_reference("https://hub.example.evil/org/repo", kEndpoint)->kind,
              Reference::Kind::kUrl);
}

TEST(Reference, RefusesNamesThatCouldLeaveTheCache) {
    for (const char* text :
         {"", "../repo", "org/..", "org/../x", "org/re--po", "-org/repo", "org/.repo",
          "org/repo:", "org/repo:../../x", "a/b/c", "org/re po", "ftp://x/y", ".hidden",
          "https://hub.example/org/repo/resolve/main/../../x",
          "https://hub.example/org/repo/resolve/../x.gguf"}) {
        EXPECT_FALSE(parse_reference(text, kEndpoint).ok()) << text;
    }
    EXPECT_FALSE(parse_reference(std::string("org/re\0po", 9), kEndpoint).ok());
    EXPECT_FALSE(parse_reference(std::string(300, 'a') + "/b", kEndpoint).ok());
}

TEST(Reference, JudgesPathsAndTags) {
    for (const char* good : {"a", "a/b/c.gguf", "..a", "a..b/c", "Ünïcode"})
        EXPECT_TRUE(is_safe_path(good)) << good;
    for (const char* bad :
         {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\\b", "a\nb", "\x7f"})
        EXPECT_FALSE(is_safe_path(bad)) << bad;
    EXPECT_FALSE(is_safe_path(std::string(256, 'a')));
    EXPECT_FALSE(is_safe_path(std::string(2000, '/')));
    EXPECT_TRUE(is_safe_tag("v1.0-rc_2"));
    for (const char* bad : {"", "a/b", "..", ".x", "a b"})
        EXPECT_FALSE(is_safe_tag(bad)) << bad;
    EXPECT_FALSE(is_safe_name("a/b"));
    EXPECT_FALSE(is_safe_name(".a"));
}

TEST(Reference, ReadsFoldersOfTheCache) {
    EXPECT_EQ(parse_repo_folder("models--org--repo")->id(), "org/repo");
    for (const char* other :
         {"datasets--org--repo", "models--org", "models--gpt2", "models--a--b--c", "x"})
        EXPECT_FALSE(parse_repo_folder(other).has_value()) << other;
}

}  // namespace
}  // namespace tenon::hub
