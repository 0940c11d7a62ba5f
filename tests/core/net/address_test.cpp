#include "core/net/address.h"

#include <gtest/gtest.h>

namespace tenon::net {
namespace {

TEST(Address, CanonicalText) {
    EXPECT_EQ(to_text(*parse_ip("127.0.0.1")), "127.0.0.1");
    EXPECT_EQ(to_text(*parse_ip("::ffff:10.1.2.3")), "10.1.2.3");
    EXPECT_EQ(to_text(*parse_ip("2001:DB8:0:0::1")), "2001:db8::1");
    for (const char* bad :
         {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4 ", "::g", "fe80::1%lo"}) {
        EXPECT_FALSE(parse_ip(bad)) << bad;
    }
}

TEST(Networks, ContainTheirAddresses) {
    const Networks networks =
        *Networks::parse({"10.0.0.0/9", "192.168.1.1", "2001:db8::/33", "unix:"});
    for (const char* in : {"10.0.0.1", "10.127.255.255", "192.168.1.1", "2001:db8:7fff::1", ""}) {
        EXPECT_TRUE(networks.contains(in)) << in;
    }
    for (const char* out : {"10.128.0.0", "192.168.1.2", "2001:db8:8000::1", "11.0.0.1"}) {
        EXPECT_FALSE(networks.contains(out)) << out;
    }
    EXPECT_FALSE(Networks().contains("127.0.0.1"));
    EXPECT_FALSE(Networks().contains(""));
    for (const char* bad :
         {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "example.org", "::/129", "1.2.3.4/8x"}) {
        const Result<Networks> parsed = Networks::parse({bad});
        ASSERT_FALSE(parsed.ok()) << bad;
        EXPECT_EQ(parsed.error().code, Code::kConfig);
        EXPECT_NE(parsed.error().message.find(bad), std::string::npos);
    }
}

Address client_of(const Address& peer, const std::vector<std::string>& forwarded) {
    Headers headers;
    for (const std::string& value : forwarded)
        headers.add("x-forwarded-for", value);
    return resolve_client(peer, headers, *Networks::parse({"10.0.0.0/8", "::1"}));
}

TEST(ResolveClient, BelievesOnlyTrustedProxies) {
    EXPECT_EQ(client_of("1.2.3.4", {"9.9.9.9"}), "1.2.3.4");  // forged: the peer is nobody's proxy
    EXPECT_EQ(client_of("10.0.0.1", {}), "10.0.0.1");
    EXPECT_EQ(client_of("10.0.0.1", {"9.9.9.9"}), "9.9.9.9");
    // What a client wrote itself stands before what the proxy added.
    EXPECT_EQ(client_of("10.0.0.1", {"6.6.6.6, 9.9.9.9"}), "9.9.9.9");
    EXPECT_EQ(client_of("10.0.0.1", {"6.6.6.6", "9.9.9.9"}), "9.9.9.9");
    EXPECT_EQ(client_of("10.0.0.1", {"6.6.6.6, 9.9.9.9, 10.0.0.7", "10.2.2.2"}), "9.9.9.9");
    EXPECT_EQ(client_of("10.0.0.1", {"10.0.0.9, 10.0.0.8"}), "10.0.0.9");
    EXPECT_EQ(client_of("::1", {"[2001:db8::5]:443"}), "2001:db8::5");
    EXPECT_EQ(client_of("::1", {"9.9.9.9:1234"}), "9.9.9.9");
    EXPECT_EQ(client_of("10.0.0.1", {"9.9.9.9, unknown"}), "10.0.0.1");
    EXPECT_EQ(client_of("10.0.0.1", {"9.9.9.9, _x, 10.0.0.2"}), "10.0.0.2");
    EXPECT_EQ(client_of("10.0.0.1", {""}), "10.0.0.1");
}

}  // namespace
}  // namespace tenon::net
