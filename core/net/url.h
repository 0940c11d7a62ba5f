// http:// and https:// URLs, strictly: what a request line and a Host header may hold.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::net {

struct Url {
    bool tls = false;
    std::string host;  // name or address, lower case, without the brackets of IPv6
    uint16_t port = 80;
    std::string target = "/";  // path and query, as given

    // "host:port", the port only where it is not the scheme's: the Host header.
    std::string authority() const;
    // "host:port", always with the port: the target of CONNECT.
    std::string host_and_port() const;
    // "https://host:port": what connections are pooled by.
    std::string origin() const;
};

// kInvalid names the part that is wrong. No user name, no fragment, no space or control character.
Result<Url> parse_url(std::string_view text);

}  // namespace tenon::net
