// Server-side TLS by OpenSSL: certificates that can be exchanged while the server runs, and a byte
// stream over a non-blocking socket, encrypted or not.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

struct ssl_st;
struct ssl_ctx_st;

namespace tenon::net {

// The certificate in use. Thread-safe.
class TlsCertificate {
public:
    // Reads both files. kConfig: unreadable, expired, or key and certificate do not belong together.
    // On an error the certificate in use stays.
    Status load(const std::string& certificate_file, const std::string& key_file);
    bool is_loaded() const;
    // Seconds until it expires, negative afterwards; nothing before load().
    std::optional<int64_t> expires_in() const;
    // For one connection, which keeps it.
    std::shared_ptr<ssl_ctx_st> context() const;

private:
    mutable std::mutex mutex_;
    std::shared_ptr<ssl_ctx_st> context_;
};

enum class StreamState {
    kOk,
    kAgain,       // wait until readable
    kAgainWrite,  // wait until writable
    kEnd,         // the peer closed its side
    kError,       // reset, or broken TLS
};

// Reads and writes a non-blocking socket that somebody else owns; never raises SIGPIPE. One thread.
class Stream {
public:
    explicit Stream(int fd) : fd_(fd) {}
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // Server side of TLS from now on; call handshake() until kOk.
    Status start_tls(std::shared_ptr<ssl_ctx_st> context);
    bool is_tls() const noexcept { return ssl_ != nullptr; }
    StreamState handshake();
    // Up to `size` bytes; `count` is set with kOk and above 0.
    StreamState read(char* data, size_t size, size_t& count);
    StreamState write(std::string_view bytes, size_t& count);
    // Says that nothing more will be written.
    void shutdown_write();
    // True where read() has bytes although the socket has none.
    bool has_buffered() const;

private:
    StreamState state_of(int result);

    int fd_;
    ssl_st* ssl_ = nullptr;
    std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace tenon::net
