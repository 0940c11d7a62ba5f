#include "core/net/proxy_protocol.h"

#include "core/net/address.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace tenon::net {
namespace {

using State = ProxyHeader::State;

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::string_view kSignature2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kLine1Max = 107;  // of version 1, CR LF included

ProxyHeader bad() { return {.state = State::kBad, .bytes = 0, .client = {}}; }

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "PROXY TCP4 source destination port port\r\n" or "PROXY UNKNOWN ...\r\n"
ProxyHeader parse_1(std::string_view bytes) {
    const size_t end = bytes.substr(0, kLine1Max).find('\n');
    if (end == std::string_view::npos) {
        return bytes.size() >= kLine1Max ? bad() : ProxyHeader{};
    }
    if (end == 0 || bytes[end - 1] != '\r') return bad();
    std::string_view line = bytes.substr(kSignature1.size(), end - 1 - kSignature1.size());
    ProxyHeader header{.state = State::kDone, .bytes = end + 1, .client = {}};
    if (line == "UNKNOWN" || line.substr(0, 8) == "UNKNOWN ") return header;
    std::array<std::string_view, 5> words;
    for (size_t i = 0; i < words.size(); ++i) {
        const size_t space = line.find(' ');
        if ((space == std::string_view::npos) != (i + 1 == words.size())) return bad();
        words[i] = line.substr(0, space);
        line.remove_prefix(std::min(line.size(), words[i].size() + 1));
    }
    const auto source = parse_ip(words[1]), destination = parse_ip(words[2]);
    const bool is_known = words[0] == "TCP4" || words[0] == "TCP6";
    if (!is_known || !source || !destination || !is_port(words[3]) || !is_port(words[4])) {
        return bad();
    }
    header.client = to_text(*source);
    return header;
}

// Signature, version and command, family, big-endian length, addresses, extensions.
ProxyHeader parse_2(std::string_view bytes) {
    if (bytes.size() < 16) return {};
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
    const size_t length = static_cast<size_t>(byte(14) << 8 | byte(15));
    if (byte(12) >> 4 != 2 || (byte(12) & 15) > 1 || 16 + length > kProxyHeaderMax) return bad();
    if (bytes.size() < 16 + length) return {};
    ProxyHeader header{.state = State::kDone, .bytes = 16 + length, .client = {}};
    if ((byte(12) & 15) == 0) return header;  // LOCAL
    const int family = byte(13) >> 4;
    IpAddress source;
    if (family == 1) {
        if (length < 12) return bad();
        source.bytes[10] = source.bytes[11] = 0xff;
        std::memcpy(source.bytes.data() + 12, bytes.data() + 16, 4);
    } else if (family == 2) {
        if (length < 36) return bad();
        std::memcpy(source.bytes.data(), bytes.data() + 16, 16);
    } else {
        return header;  // unspecified, or a unix socket
    }
    header.client = to_text(source);
    return header;
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
    const auto begins = [&](std::string_view signature) {
        const size_t n = std::min(signature.size(), bytes.size());
        return bytes.substr(0, n) == signature.substr(0, n);
    };
    if (begins(kSignature1)) {
        return bytes.size() < kSignature1.size() ? ProxyHeader{} : parse_1(bytes);
    }
    return begins(kSignature2) ? parse_2(bytes) : bad();
}

}  // namespace tenon::net
