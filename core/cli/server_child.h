// A server of our own for the time of a test: `tenon serve` as a child process on a free port.
#pragma once

#include "core/base/result.h"
#include "core/net/http_client.h"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::cli {

// Ends its server when destroyed: SIGTERM, and SIGKILL after 10 s.
class ServerChild {
public:
    // Starts `tenon serve --model MODEL` with `options` and waits until /health answers 200. What
    // the server prints goes to standard error. kCancelled once *cancel is not 0.
    static Result<ServerChild> start(const std::string& model,
                                     const std::vector<std::string>& options, net::Client& client,
                                     const uint32_t* cancel);
    ServerChild(ServerChild&& other) noexcept : pid_(other.pid_), url_(std::move(other.url_)) {
        other.pid_ = -1;
    }
    ServerChild& operator=(ServerChild&&) = delete;
    ~ServerChild();

    const std::string& url() const noexcept { return url_; }  // "http://127.0.0.1:PORT"

private:
    ServerChild(pid_t pid, std::string url) : pid_(pid), url_(std::move(url)) {}
    Status wait_until_ready(net::Client& client, const uint32_t* cancel);

    pid_t pid_;
    std::string url_;
};

}  // namespace tenon::cli
