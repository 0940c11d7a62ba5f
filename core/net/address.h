// IP addresses as values, sets of them, and whom a chain of proxies names as the client.
#pragma once

#include "core/base/result.h"
#include "core/net/http.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sockaddr;

namespace tenon::net {

// IPv4 is held as IPv4-mapped IPv6, so both spellings of one address are equal.
struct IpAddress {
    std::array<uint8_t, 16> bytes{};

    bool is_v4() const noexcept;
    bool operator==(const IpAddress&) const = default;
};

// "127.0.0.1", "::1", "::ffff:1.2.3.4"; no port, no brackets, no zone.
std::optional<IpAddress> parse_ip(std::string_view text);
// Canonical text: an IPv4-mapped address reads as IPv4.
Address to_text(const IpAddress& address);
// Of a peer; empty for a unix socket.
Address address_of(const sockaddr& peer);

// A set of networks such as "10.0.0.0/8", "::1" and "unix:" (peers of a unix socket).
class Networks {
public:
    // kConfig naming the first text that is none.
    static Result<Networks> parse(const std::vector<std::string>& texts);
    bool contains(const Address& address) const;
    bool empty() const noexcept { return networks_.empty() && !has_unix_; }

private:
    struct Network {
        IpAddress base;
        uint32_t bits;  // of 128
    };
    std::vector<Network> networks_;
    bool has_unix_ = false;
};

// The client of a request that came from `peer`: the last address of X-Forwarded-For that is not a
// trusted proxy, where the peer is one; else the peer. What stands before an unreadable entry or
// before that address may be forged and is not looked at.
Address resolve_client(const Address& peer, const Headers& headers, const Networks& trusted);

}  // namespace tenon::net
