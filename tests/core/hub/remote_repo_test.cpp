#include "core/hub/remote_repo.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tenon::hub {
namespace {

const std::string kCommit(40, 'a');
const std::string kSha(64, 'b');

TEST(RemoteRepo, ReadsAListing) {
    const Result<RepoListing> listing = parse_listing(fmt::format(
        R"({{"sha": "{}", "siblings": [
            {{"rfilename": "m.gguf", "size": 7, "blobId": "{}", "lfs": {{"sha256": "{}", "size": 7}}}},
            {{"rfilename": "README.md", "size": 3, "blobId": "{}"}},
            {{"rfilename": "../../evil.gguf", "size": 3, "blobId": "{}"}},
            {{"rfilename": "/etc/x.gguf", "size": 3, "blobId": "{}"}}]}})",
        kCommit, kCommit, kSha, kCommit, kCommit, kCommit));
    ASSERT_TRUE(listing.ok()) << listing.error().message;
    EXPECT_EQ(listing->commit, kCommit);
    ASSERT_EQ(listing->files.size(), 2u);
    EXPECT_EQ(listing->files[0].etag, kSha);
    EXPECT_EQ(listing->files[0].size, 7u);
    EXPECT_EQ(listing->files[1].etag, kCommit);
    EXPECT_EQ(listing->files[1].sha256, "");
}

TEST(RemoteRepo, RefusesAHostileListing) {
    for (
        const std::string& text :
        {std::string("<html>"), std::string("[]"),
         std::string(R"({"sha": "../../x", "siblings": []})"),
         fmt::format(R"({{"sha": "{}", "siblings": 3}})", kCommit),
         fmt::format(
             R"({{"sha": "{}", "siblings": [{{"rfilename": "m.gguf", "size": 1, "blobId": "../x"}}]}})",
             kCommit),
         fmt::format(
             R"({{"sha": "{}", "siblings": [{{"rfilename": "m.gguf", "lfs": {{"sha256": "../x"}}}}]}})",
             kCommit)}) {
        EXPECT_EQ(parse_listing(text).error().code, Code::kData) << text;
    }
}

TEST(RemoteRepo, SendsNoTokenInTheClear) {
    Places places;
    places.endpoint = "http://hub.example";
    EXPECT_TRUE(check_token_goes_safely(places).ok());
    places.token = "hf_x";
    EXPECT_EQ(check_token_goes_safely(places).error().code, Code::kConfig);
    for (const char* endpoint :
         {"https://hub.example", "http://127.0.0.1:8000", "http://localhost"}) {
        places.endpoint = endpoint;
        EXPECT_TRUE(check_token_goes_safely(places).ok()) << endpoint;
    }
}

TEST(RemoteRepo, EncodesPaths) {
    EXPECT_EQ(url_encoded("a b/ü#?.gguf"), "a%20b/%C3%BC%23%3F.gguf");
}

}  // namespace
}  // namespace tenon::hub
