// HTTP messages as values, the same for server and client.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::net {

struct Header {
    std::string name;  // as sent; names compare without case
    std::string value;
};

class Headers {
public:
    void add(std::string name, std::string value) {
        all_.push_back({std::move(name), std::move(value)});
    }
    // Replaces every header of this name.
    void set(std::string name, std::string value);
    // The first of this name, or null.
    const std::string* find(std::string_view name) const noexcept;
    size_t count(std::string_view name) const noexcept;
    const std::vector<Header>& all() const noexcept { return all_; }

private:
    std::vector<Header> all_;
};

// An address without its port, in canonical text: "127.0.0.1", "::1"; empty for a unix socket.
using Address = std::string;

struct HttpRequest {
    std::string method;  // upper case
    std::string target;  // as sent
    std::string path;    // of target, decoded; "//", "." and "..", "\" and NUL never get here
    std::string query;   // of target, not decoded
    Headers headers;
    std::string body;
    Address client;  // behind trusted proxies: whom they name; else the peer
    Address peer;    // the other end of the connection
    bool tls = false;
};

struct HttpResponse {
    int status = 200;
    Headers headers;  // Content-Length, Date and Connection are the server's
    std::string body;
};

// Standard phrase of a status, such as "Not Found".
std::string_view reason_of(int status) noexcept;

}  // namespace tenon::net
