// The PROXY protocol, versions 1 and 2: the header by which a load balancer names its client before
// the first byte of the connection.
#pragma once

#include "core/net/http.h"

#include <cstddef>
#include <string_view>

namespace tenon::net {

// Longest header accepted; version 2 carries extensions, which are skipped.
inline constexpr size_t kProxyHeaderMax = 1024;

struct ProxyHeader {
    enum class State {
        kMore,  // a beginning of a header: every byte seen belongs to it
        kDone,  // `bytes` of it were the header
        kBad,   // no header: close the connection
    };
    State state = State::kMore;
    size_t bytes = 0;
    // Empty: the proxy itself asks (LOCAL, a health check) or does not know (UNKNOWN).
    Address client;
};

// Pure; the verdict does not depend on how the bytes were cut.
ProxyHeader parse_proxy_header(std::string_view bytes);

}  // namespace tenon::net
