#include "core/net/proxy_protocol.h"

#include <gtest/gtest.h>

namespace tenon::net {
namespace {

using State = ProxyHeader::State;

std::string header_2(char command, char family, std::string_view addresses) {
    std::string bytes("\r\n\r\n\0\r\nQUIT\n", 12);
    bytes += command;
    bytes += family;
    bytes += static_cast<char>(addresses.size() >> 8);
    bytes += static_cast<char>(addresses.size() & 255);
    return bytes.append(addresses);
}
const std::string kIpv4("\x09\x08\x07\x06\x7f\0\0\x01\x12\x34\0\x50", 12);

TEST(ProxyProtocol, NamesTheClient) {
    const std::string ipv6 = std::string(15, '\0') + "\x05" + std::string(20, '\0');
    const std::vector<std::pair<std::string, Address>> good = {
        {"PROXY TCP4 9.8.7.6 127.0.0.1 4660 80\r\n", "9.8.7.6"},
        {"PROXY TCP6 2001:db8::1 ::1 4660 80\r\n", "2001:db8::1"},
        {"PROXY UNKNOWN\r\n", ""},
        {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""},
        {header_2('\x21', '\x11', kIpv4), "9.8.7.6"},
        {header_2('\x21', '\x11', kIpv4 + "extension"), "9.8.7.6"},
        {header_2('\x21', '\x21', ipv6), "::5"},
        {header_2('\x20', '\0', ""), ""},
        {header_2('\x21', '\x31', std::string(216, 'x')), ""},
    };
    for (const auto& [bytes, client] : good) {
        const ProxyHeader header = parse_proxy_header(bytes + "GET / HTTP/1.1\r\n");
        EXPECT_EQ(header.state, State::kDone) << bytes;
        EXPECT_EQ(header.client, client);
        EXPECT_EQ(header.bytes, bytes.size());
        for (size_t cut = 0; cut < bytes.size(); ++cut) {
            EXPECT_EQ(parse_proxy_header(bytes.substr(0, cut)).state, State::kMore) << bytes << cut;
        }
    }
}

TEST(ProxyProtocol, RefusesWhatIsNone) {
    for (const std::string& bytes :
         {std::string("GET / HTTP/1.1\r\n"), std::string("PROXY TCP4 9.8.7.6 127.0.0.1 4660\r\n"),
          std::string("PROXY TCP4 9.8.7.6 127.0.0.1 4660 80 1\r\n"),
          std::string("PROXY TCP4 9.8.7.6  127.0.0.1 4660 80\r\n"),
          std::string("PROXY TCP5 9.8.7.6 127.0.0.1 4660 80\r\n"),
          std::string("PROXY TCP4 9.8.7 127.0.0.1 4660 80\r\n"),
          std::string("PROXY TCP4 9.8.7.6 127.0.0.1 x 80\r\n"), std::string("PROXY UNKNOWN\n"),
          "PROXY UNKNOWN " + std::string(100, 'x'), header_2('\x11', '\x11', kIpv4),
          header_2('\x22', '\x11', kIpv4), header_2('\x21', '\x11', "short"),
          header_2('\x21', '\x21', kIpv4), header_2('\x21', '\x11', std::string(2000, 'x'))}) {
        EXPECT_EQ(parse_proxy_header(bytes).state, State::kBad) << bytes;
    }
}

}  // namespace
}  // namespace tenon::net
