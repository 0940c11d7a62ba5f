// The other end of a connection as a script: what the client meets is exactly what a test says.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace tenon::net {

// One accepted connection, used by its own thread. Stays open after its script, until closed here.
class PeerSocket {
public:
    explicit PeerSocket(int descriptor) : descriptor_(descriptor) {}
    ~PeerSocket() { close(); }
    PeerSocket(const PeerSocket&) = delete;
    PeerSocket& operator=(const PeerSocket&) = delete;
    // Reads up to the end of a head and, by its Content-Length, the body; empty when the client
    // closed.
    std::string read_request();
    // Bytes until the client closes.
    std::string read_all();
    // False once the client is gone.
    bool write(std::string_view bytes);
    // For a library that reads and writes itself.
    int descriptor() const noexcept { return descriptor_; }
    // FIN; or, with `reset`, RST.
    void close(bool reset = false);

private:
    friend class ScriptedPeer;
    void hang_up();  // from another thread: ends a read or a write

    std::mutex mutex_;
    int descriptor_;
    std::string rest_;
};

// Listens on a port of the loopback and runs `script` for every connection, each in a thread.
class ScriptedPeer {
public:
    // `number` counts connections from 0.
    explicit ScriptedPeer(std::function<void(PeerSocket& socket, int number)> script);
    ~ScriptedPeer();

    uint16_t port() const noexcept { return port_; }
    std::string url(std::string_view target = "/") const;
    int accepted() const;

private:
    void accept_all();

    std::function<void(PeerSocket&, int)> script_;
    int listener_;
    uint16_t port_ = 0;
    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<PeerSocket>> sockets_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

}  // namespace tenon::net
