#include "core/net/server_gate.h"

#include "core/net/address.h"

#include <algorithm>

namespace tenon::net {

std::string ClientGate::key_of(const Address& client) {
    std::optional<IpAddress> ip = parse_ip(client);
    if (!ip || ip->is_v4()) return client;
    std::fill(ip->bytes.begin() + 8, ip->bytes.end(), uint8_t{0});
    return to_text(*ip);
}

bool ClientGate::enter(const Address& client) {
    const std::string key = key_of(client);
    const std::lock_guard lock(mutex_);
    uint32_t& held = held_[key];
    if (held >= limit_) return false;
    ++held;
    return true;
}

void ClientGate::leave(const Address& client) {
    const std::string key = key_of(client);
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(key);
    if (found != held_.end() && --found->second == 0) held_.erase(found);
}

}  // namespace tenon::net
