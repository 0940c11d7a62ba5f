// How many connections, or requests behind a proxy, each client address holds.
#pragma once

#include "core/net/http.h"

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

namespace tenon::net {

// Thread-safe. An IPv6 client counts by its /64, because it owns all of it.
class ClientGate {
public:
    explicit ClientGate(uint32_t limit) : limit_(limit) {}

    // False where the client already holds its limit. Each true wants one leave().
    bool enter(const Address& client);
    void leave(const Address& client);

private:
    static std::string key_of(const Address& client);

    const uint32_t limit_;
    std::mutex mutex_;
    std::unordered_map<std::string, uint32_t> held_;
};

}  // namespace tenon::net
