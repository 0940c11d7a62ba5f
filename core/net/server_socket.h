// Listening and accepted sockets of the server.
#pragma once

#include "core/base/result.h"
#include "core/net/http.h"

#include <cstdint>
#include <string>

namespace tenon::net {

struct Listener {
    int fd = -1;  // non-blocking; the caller's
    uint16_t port = 0;
    std::string unix_path;  // to be removed at the end; empty for TCP
};

// `host`: address, name, or "unix:/path". kConfig when it cannot be listened on.
Result<Listener> listen_on(const std::string& host, uint16_t port);

// Options of an accepted TCP socket: no delay, a bounded unsent queue in the kernel, and probes that
// find a dead peer within 35 s, idle or not.
void prepare_accepted(int fd);

// The most connections that this process may hold: `wanted`, but at most half of its descriptors.
uint32_t connections_max(uint32_t wanted);

}  // namespace tenon::net
