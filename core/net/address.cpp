#include "core/net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tenon::net {
namespace {

constexpr std::array<uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

IpAddress from_v4(const void* four_bytes) {
    IpAddress address;
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.bytes.begin());
    std::memcpy(address.bytes.data() + 12, four_bytes, 4);
    return address;
}

std::string_view trim(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

// An entry of X-Forwarded-For: some proxies add the port.
std::optional<IpAddress> parse_forwarded(std::string_view text) {
    text = trim(text);
    if (!text.empty() && text.front() == '[') {
        const size_t end = text.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        return parse_ip(text.substr(1, end - 1));
    }
    if (std::count(text.begin(), text.end(), ':') == 1) text = text.substr(0, text.find(':'));
    return parse_ip(text);
}

}  // namespace

bool IpAddress::is_v4() const noexcept {
    return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin());
}

std::optional<IpAddress> parse_ip(std::string_view text) {
    char buffer[INET6_ADDRSTRLEN];
    if (text.empty() || text.size() >= sizeof(buffer)) return std::nullopt;
    std::memcpy(buffer, text.data(), text.size());
    buffer[text.size()] = 0;
    if (std::strlen(buffer) != text.size()) return std::nullopt;
    in_addr v4{};
    if (inet_pton(AF_INET, buffer, &v4) == 1) return from_v4(&v4);
    IpAddress address;
    if (inet_pton(AF_INET6, buffer, address.bytes.data()) == 1) return address;
    return std::nullopt;
}

Address to_text(const IpAddress& address) {
    char buffer[INET6_ADDRSTRLEN] = "";
    if (address.is_v4()) {
        inet_ntop(AF_INET, address.bytes.data() + 12, buffer, sizeof(buffer));
    } else {
        inet_ntop(AF_INET6, address.bytes.data(), buffer, sizeof(buffer));
    }
    return buffer;
}

Address address_of(const sockaddr& peer) {
    if (peer.sa_family == AF_INET) {
        return to_text(from_v4(&reinterpret_cast<const sockaddr_in&>(peer).sin_addr));
    }
    if (peer.sa_family == AF_INET6) {
        IpAddress address;
        std::memcpy(address.bytes.data(), &reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr,
                    16);
        return to_text(address);
    }
    return {};
}

Result<Networks> Networks::parse(const std::vector<std::string>& texts) {
    Networks networks;
    for (const std::string& text : texts) {
        if (text == "unix:") {
            networks.has_unix_ = true;
            continue;
        }
        const size_t slash = text.find('/');
        const std::optional<IpAddress> base = parse_ip(text.substr(0, slash));
        uint32_t bits = base && base->is_v4() ? 32 : 128;
        bool is_good = base.has_value();
        if (is_good && slash != std::string::npos) {
            const uint32_t bits_max = bits;
            const char* end = text.data() + text.size();
            const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
            is_good = error == std::errc() && stop == end && bits <= bits_max;
        }
        if (!is_good) {
            return Error{
                Code::kConfig,
                fmt::format("'{}' is not an address or a network such as 10.0.0.0/8", text)};
        }
        networks.networks_.push_back({*base, base->is_v4() ? bits + 96 : bits});
    }
    return networks;
}

bool Networks::contains(const Address& address) const {
    if (address.empty()) return has_unix_;
    if (networks_.empty()) return false;
    const std::optional<IpAddress> ip = parse_ip(address);
    if (!ip) return false;
    return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
        const uint32_t whole = network.bits / 8, rest = network.bits % 8;
        if (std::memcmp(ip->bytes.data(), network.base.bytes.data(), whole) != 0) return false;
        return rest == 0 || ((ip->bytes[whole] ^ network.base.bytes[whole]) >> (8 - rest)) == 0;
    });
}

Address resolve_client(const Address& peer, const Headers& headers, const Networks& trusted) {
    Address client = peer;
    if (!trusted.contains(peer)) return client;
    const std::vector<Header>& all = headers.all();
    for (auto header = all.rbegin(); header != all.rend(); ++header) {
        if (header->name.size() != 15 ||
            strncasecmp(header->name.data(), "X-Forwarded-For", 15) != 0) {
            continue;
        }
        std::string_view list = header->value;
        while (true) {
            const size_t comma = list.rfind(',');
            const std::string_view entry =
                comma == std::string_view::npos ? list : list.substr(comma + 1);
            const std::optional<IpAddress> ip = parse_forwarded(entry);
            if (!ip) return client;
            client = to_text(*ip);
            if (!trusted.contains(client)) return client;
            if (comma == std::string_view::npos) break;
            list = list.substr(0, comma);
        }
    }
    return client;
}

}  // namespace tenon::net
