#include "core/net/redirect.h"

#include <gtest/gtest.h>

namespace tenon::net {
namespace {

ClientRequest request(const std::string& url) {
    ClientRequest sent;
    sent.url = url;
    sent.headers.add("authorization", "Bearer x");
    sent.headers.add("Range", "bytes=0-9");
    return sent;
}

Result<std::optional<ClientRequest>> follow(const std::string& url, int status,
                                            const std::string& to) {
    Headers headers;
    headers.add("Location", to);
    return follow_redirect(request(url), status, headers);
}

TEST(Redirect, ResolvesLocations) {
    for (const auto& [location, url] : std::initializer_list<std::pair<const char*, const char*>>{
             {"https://b.example/x?y=1", "https://b.example/x?y=1"},
             {"//b.example/x", "https://b.example/x"},
             {"/x?url=http://c.example/", "https://a.example:8443/x?url=http://c.example/"},
             {"x", "https://a.example:8443/d/x"},
             {"?q", "https://a.example:8443/d/e?q"},
             {"/x#part", "https://a.example:8443/x"}}) {
        const auto next = follow("https://a.example:8443/d/e?f=g/h", 302, location);
        ASSERT_TRUE(next.ok() && next->has_value()) << location;
        EXPECT_EQ((*next)->url, url);
    }
}

TEST(Redirect, KeepsTheTokenOnlyAtHome) {
    EXPECT_NE((*follow("https://a.example/d", 307, "/e"))->headers.find("Authorization"), nullptr);
    EXPECT_NE((*follow("https://a.example/d", 307, "https://a.example:443/e"))
                  ->headers.find("Authorization"),
              nullptr);
    for (const char* away :
         {"https://b.example/e", "https://a.example:444/e", "https://sub.a.example/e"}) {
        const auto next = follow("https://a.example/d", 302, away);
        EXPECT_EQ((*next)->headers.find("Authorization"), nullptr) << away;
        EXPECT_NE((*next)->headers.find("Range"), nullptr) << away;
    }
}

TEST(Redirect, RefusesWhatIsNoUrlOrNoLongerEncrypted) {
    for (const char* location :
         {"http://a.example/e", "ftp://b.example/", "https://user@b.example/", "https://"})
        EXPECT_EQ(follow("https://a.example/d", 302, location).error().code, Code::kInvalid)
            << location;
    EXPECT_TRUE(follow("http://a.example/d", 302, "https://a.example/e").ok());
}

TEST(Redirect, IsNothingElse) {
    EXPECT_FALSE(follow("https://a.example/d", 200, "/e")->has_value());
    EXPECT_FALSE(follow("https://a.example/d", 304, "/e")->has_value());
    EXPECT_FALSE(follow_redirect(request("https://a.example/d"), 302, {})->has_value());
}

TEST(Redirect, SendsABodyOnceUnlessTold) {
    Headers headers;
    headers.add("Location", "/e");
    ClientRequest post = request("https://a.example/d");
    post.method = "POST";
    post.body = "text";
    EXPECT_EQ((*follow_redirect(post, 303, headers))->method, "GET");
    EXPECT_EQ((*follow_redirect(post, 303, headers))->body, "");
    EXPECT_EQ((*follow_redirect(post, 308, headers))->body, "text");
}

}  // namespace
}  // namespace tenon::net
