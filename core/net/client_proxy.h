// The HTTP proxies that a client's requests go through, as users of curl know them.
#pragma once

#include "core/base/result.h"
#include "core/net/address.h"
#include "core/net/url.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::net {

struct ClientProxy {
    std::string variable;  // that named it: "https_proxy"
    std::string host;      // without the brackets of IPv6
    uint16_t port = 1080;
    // Value of Proxy-Authorization; empty: none. A secret: in no message.
    std::string authorization;

    // "host:port", for messages.
    std::string name() const;
    // What its own answer means when it does not do what was asked: a 407 says what is missing.
    // kBusy: worth another attempt.
    Error refusal(int status, const Headers& headers, const std::string& asked) const;
};

class ProxyRules {
public:
    // Reads http_proxy, https_proxy, all_proxy and no_proxy, each before its upper-case spelling.
    // HTTP_PROXY does not count where REQUEST_METHOD is set: there a header of a request names it.
    // A proxy is http://[USER[:PASSWORD]@]HOST[:PORT], the scheme optional, port 1080 by default.
    // no_proxy has names (with all below them), addresses and networks, each with an optional port,
    // or '*'. `lookup` gives "" for a variable that is absent. kConfig names the variable, never
    // its value.
    static Result<ProxyRules> read(const std::function<std::string(const char*)>& lookup);

    // Null: `url` is asked for directly. Valid as long as the rules are.
    const ClientProxy* find(const Url& url) const;

private:
    struct Exception {
        std::string host;  // a name, lower case, without dots at its ends; empty: `network`
        Networks network;
        uint16_t port = 0;  // 0: any
    };
    void add_exception(std::string_view text);
    bool is_exception(const Url& url) const;

    std::optional<ClientProxy> http_, https_;
    std::vector<Exception> exceptions_;
    bool is_off_ = false;  // no_proxy is '*'
};

}  // namespace tenon::net
