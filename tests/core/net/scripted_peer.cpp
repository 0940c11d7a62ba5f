#include "tests/core/net/scripted_peer.h"

#include <cstdlib>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tenon::net {

std::string PeerSocket::read_request() {
    std::string text = std::move(rest_);
    rest_.clear();
    size_t wanted = std::string::npos;
    while (true) {
        const size_t end = text.find("\r\n\r\n");
        if (end != std::string::npos && wanted == std::string::npos) {
            const size_t at = text.find("Content-Length: ");
            wanted = end + 4 + (at < end ? std::strtoul(text.c_str() + at + 16, nullptr, 10) : 0);
        }
        if (wanted != std::string::npos && text.size() >= wanted) {
            rest_ = text.substr(wanted);
            return text.substr(0, wanted);
        }
        char piece[65536];
        const ssize_t count = recv(descriptor_, piece, sizeof piece, 0);
        if (count <= 0) return {};
        text.append(piece, static_cast<size_t>(count));
    }
}

std::string PeerSocket::read_all() {
    std::string text = std::move(rest_);
    char piece[65536];
    while (true) {
        const ssize_t count = recv(descriptor_, piece, sizeof piece, 0);
        if (count <= 0) return text;
        text.append(piece, static_cast<size_t>(count));
    }
}

bool PeerSocket::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
}

void PeerSocket::close(bool reset) {
    const std::lock_guard lock(mutex_);
    if (descriptor_ < 0) return;
    if (reset) {
        const linger now{1, 0};
        setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    ::close(descriptor_);
    descriptor_ = -1;
}

void PeerSocket::hang_up() {
    const std::lock_guard lock(mutex_);
    if (descriptor_ >= 0) shutdown(descriptor_, SHUT_RDWR);
}

ScriptedPeer::ScriptedPeer(std::function<void(PeerSocket&, int)> script)
    : script_(std::move(script)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, generic, size) != 0 || listen(listener_, 128) != 0 ||
        getsockname(listener_, generic, &size) != 0) {
        return;  // port 0: every test that uses it fails
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
}

ScriptedPeer::~ScriptedPeer() {
    shutdown(listener_, SHUT_RDWR);
    if (acceptor_.joinable()) acceptor_.join();
    close(listener_);
    for (const auto& one : sockets_)
        one->hang_up();
    for (std::thread& thread : threads_)
        thread.join();
}

void ScriptedPeer::accept_all() {
    while (true) {
        const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (descriptor < 0) return;
        const std::lock_guard lock(mutex_);
        const int number = static_cast<int>(sockets_.size());
        sockets_.push_back(std::make_unique<PeerSocket>(descriptor));
        threads_.emplace_back(
            [this, one = sockets_.back().get(), number] { script_(*one, number); });
    }
}

std::string ScriptedPeer::url(std::string_view target) const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(target);
}

int ScriptedPeer::accepted() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(sockets_.size());
}

}  // namespace tenon::net
