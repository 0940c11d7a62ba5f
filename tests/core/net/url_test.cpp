#include "core/net/url.h"

#include <gtest/gtest.h>

namespace tenon::net {
namespace {

TEST(Url, ReadsItsParts) {
    const Result<Url> url = parse_url("http://Example.com:8080/v1/models?a=b");
    ASSERT_TRUE(url.ok());
    EXPECT_FALSE(url->tls);
    EXPECT_EQ(url->host, "example.com");
    EXPECT_EQ(url->port, 8080);
    EXPECT_EQ(url->target, "/v1/models?a=b");
    EXPECT_EQ(url->authority(), "example.com:8080");
    EXPECT_EQ(url->origin(), "http://example.com:8080");
}

TEST(Url, KnowsDefaultPortsAndTargets) {
    const Result<Url> plain = parse_url("http://a");
    ASSERT_TRUE(plain.ok());
    EXPECT_EQ(plain->port, 80);
    EXPECT_EQ(plain->target, "/");
    EXPECT_EQ(plain->authority(), "a");
    const Result<Url> tls = parse_url("https://a?q");
    ASSERT_TRUE(tls.ok());
    EXPECT_TRUE(tls->tls);
    EXPECT_EQ(tls->port, 443);
    EXPECT_EQ(tls->target, "/?q");
    EXPECT_EQ(tls->authority(), "a");
    const Result<Url> ipv6 = parse_url("http://[::1]:81/x");
    ASSERT_TRUE(ipv6.ok());
    EXPECT_EQ(ipv6->host, "::1");
    EXPECT_EQ(ipv6->authority(), "[::1]:81");
}

TEST(Url, RefusesWhatARequestLineCannotHold) {
    for (const char* text : {"",
                             "a.b/c",
                             "ftp://a",
                             "http://",
                             "http:///x",
                             "http://a:0",
                             "http://a:65536",
                             "http://a:",
                             "http://a:8x",
                             "http://a:-1",
                             "http://user@a/",
                             "http://a/b c",
                             "http://a/\r\nX: y",
                             "http://a/#f",
                             "http://[::1",
                             "http://[::1]x",
                             "http://[x]/",
                             "http://a b/",
                             "http://\xc3\xa9/",
                             "http://a/\\b",
                             "http://a,b/"}) {
        EXPECT_FALSE(parse_url(text).ok()) << text;
    }
    EXPECT_FALSE(parse_url("http://a/" + std::string(9000, 'x')).ok());
}

}  // namespace
}  // namespace tenon::net
