#include "core/net/client_proxy.h"

#include <gtest/gtest.h>

#include <map>

namespace tenon::net {
namespace {

using Variables = std::map<std::string, std::string>;

Result<ProxyRules> read(const Variables& variables) {
    return ProxyRules::read([&](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::string() : found->second;
    });
}

// "host:port", or "" where the URL is asked for directly.
std::string proxy_of(const Variables& variables, const std::string& url) {
    const Result<ProxyRules> rules = read(variables);
    if (!rules.ok()) return rules.error().message;
    const ClientProxy* const proxy = rules->find(*parse_url(url));
    return proxy == nullptr ? "" : proxy->name();
}

TEST(ClientProxy, EachSchemeHasItsVariables) {
    EXPECT_EQ(proxy_of({}, "http://a/"), "");
    EXPECT_EQ(proxy_of({{"http_proxy", "http://p:1"}}, "http://a/"), "p:1");
    EXPECT_EQ(proxy_of({{"http_proxy", "http://p:1"}}, "https://a/"), "");
    EXPECT_EQ(proxy_of({{"https_proxy", "p:2"}}, "https://a/"), "p:2");
    EXPECT_EQ(proxy_of({{"ALL_PROXY", "p:3"}}, "https://a/"), "p:3");
    EXPECT_EQ(proxy_of({{"all_proxy", "p:3"}, {"HTTPS_PROXY", "p:4"}}, "https://a/"), "p:4");
    EXPECT_EQ(proxy_of({{"http_proxy", "p:1"}, {"HTTP_PROXY", "p:2"}}, "http://a/"), "p:1");
    EXPECT_EQ(proxy_of({{"HTTP_PROXY", "p:2"}}, "http://a/"), "p:2");
    EXPECT_EQ(proxy_of({{"HTTP_PROXY", "p:2"}, {"REQUEST_METHOD", "GET"}}, "http://a/"), "");
}

TEST(ClientProxy, ReadsHostPortAndLogin) {
    EXPECT_EQ(proxy_of({{"http_proxy", "proxy.lan"}}, "http://a/"), "proxy.lan:1080");
    EXPECT_EQ(proxy_of({{"http_proxy", "HTTP://Proxy.LAN:80/ignored"}}, "http://a/"),
              "proxy.lan:80");
    EXPECT_EQ(proxy_of({{"http_proxy", "http://[::1]:3128"}}, "http://a/"), "[::1]:3128");
    EXPECT_EQ(proxy_of({{"http_proxy", "[::1]"}}, "http://a/"), "[::1]:1080");
    const auto login = [](const std::string& text) {
        const Result<ProxyRules> rules = read({{"http_proxy", text}});
        return rules->find(*parse_url("http://a/"))->authorization;
    };
    EXPECT_EQ(login("p:1"), "");
    EXPECT_EQ(login("Aladdin:open%20sesame@p:1"),
              "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");  // RFC 7617, 2
    EXPECT_EQ(login("http://me@p:1"), "Basic bWU6");
    EXPECT_EQ(login("http://me:a@b@p:1"), "Basic bWU6YUBi");
}

TEST(ClientProxy, AWrongOneIsNamedByItsVariableAlone) {
    for (const char* text : {"socks5h://u:hidden@p", "https://u:hidden@p", "x://u:hidden@p",
                             "u:hidden@", "u:hidden@p:0", "u:hidden@p:99999", "u:hid%zen@p",
                             "u:hidden%00@p", "u:hidden%4@p", "http://", "p:1 2"}) {
        const Result<ProxyRules> rules = read({{"HTTPS_PROXY", text}});
        ASSERT_FALSE(rules.ok()) << text;
        EXPECT_EQ(rules.error().code, Code::kConfig);
        EXPECT_EQ(rules.error().message.find("HTTPS_PROXY: expected http://"), 0u)
            << rules.error().message;
        EXPECT_EQ(rules.error().message.find("hid"), std::string::npos) << rules.error().message;
    }
    EXPECT_FALSE(read({{"http_proxy", "u:" + std::string(2000, 'x') + "@p"}}).ok());
}

TEST(ClientProxy, NoProxyHasNamesAddressesNetworksAndPorts) {
    const auto is_direct = [](const std::string& list, const std::string& url) {
        return proxy_of({{"all_proxy", "p:1"}, {"no_proxy", list}}, url).empty();
    };
    EXPECT_TRUE(is_direct("*", "http://anything/"));
    EXPECT_TRUE(is_direct("example.com", "http://example.com/"));
    EXPECT_TRUE(is_direct("x,.Example.COM", "https://hub.example.com/"));
    EXPECT_TRUE(is_direct("a example.com.", "http://a.b.example.com/"));
    EXPECT_FALSE(is_direct("example.com", "http://notexample.com/"));
    EXPECT_FALSE(is_direct("example.com", "http://example.com.evil/"));
    EXPECT_FALSE(is_direct("", "http://example.com/"));
    EXPECT_FALSE(is_direct(",, .", "http://example.com/"));
    EXPECT_TRUE(is_direct("example.com:8080", "http://example.com:8080/"));
    EXPECT_FALSE(is_direct("example.com:8080", "http://example.com/"));
    EXPECT_FALSE(is_direct("example.com:http", "http://example.com/"));
    EXPECT_TRUE(is_direct("10.0.0.0/8", "http://10.1.2.3/"));
    EXPECT_FALSE(is_direct("10.0.0.0/8", "http://11.1.2.3/"));
    EXPECT_TRUE(is_direct("127.0.0.1:80", "http://127.0.0.1/"));
    EXPECT_FALSE(is_direct("0.0.1", "http://127.0.0.1/"));
    EXPECT_TRUE(is_direct("::1", "http://[::1]/"));
    EXPECT_TRUE(is_direct("[::1]:443", "https://[::1]/"));
    EXPECT_FALSE(is_direct("[::1]:443", "http://[::1]/"));
}

}  // namespace
}  // namespace tenon::net
