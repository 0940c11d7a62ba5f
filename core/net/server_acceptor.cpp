#include "core/net/server_acceptor.h"

#include "core/net/connection.h"
#include "core/net/server_response.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace tenon::net {
namespace {

int open_spare() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

Acceptor::Acceptor(ServerCore& core, const std::vector<std::shared_ptr<Loop>>& loops,
                   Listener listener)
    : core_(core),
      loops_(loops),
      listener_(std::move(listener)),
      connections_max_(connections_max(core.limits().connections)),
      socket_(loops.front()->context()),
      timer_(loops.front()->context()),
      spare_fd_(open_spare()) {
    boost::system::error_code failed;
    socket_.assign(listener_.fd, failed);
    if (failed) ::close(listener_.fd);
}

Acceptor::~Acceptor() {
    if (spare_fd_ >= 0) ::close(spare_fd_);
}

void Acceptor::start() { wait(); }

void Acceptor::stop() {
    if (is_stopped_) return;
    is_stopped_ = true;
    boost::system::error_code ignored;
    timer_.cancel(ignored);
    socket_.close(ignored);
    if (!listener_.unix_path.empty()) unlink(listener_.unix_path.c_str());
}

void Acceptor::wait() {
    if (is_stopped_) return;
    socket_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                       [this](const boost::system::error_code& error) {
                           if (!error) on_acceptable();
                       });
}

void Acceptor::wait_a_moment() {
    timer_.expires_after(std::chrono::milliseconds(50));
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) wait();
    });
}

void Acceptor::on_acceptable() {
    for (int i = 0; i < 64 && !is_stopped_; ++i) {
        sockaddr_storage peer{};
        socklen_t size = sizeof(peer);
        auto* const raw = reinterpret_cast<sockaddr*>(&peer);
        const int fd = accept4(listener_.fd, raw, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (peer.ss_family != AF_UNIX) prepare_accepted(fd);
            admit(fd, address_of(*raw));
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            refuse_with_spare();
            return wait_a_moment();
        }
        if (errno == EAGAIN) break;
    }
    wait();
}

void Acceptor::refuse_with_spare() {
    if (spare_fd_ < 0) {
        spare_fd_ = open_spare();
        return;
    }
    ::close(spare_fd_);
    const int fd = accept4(listener_.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) refuse(fd, 503, "The server has no file descriptor left for this connection.");
    spare_fd_ = open_spare();
}

void Acceptor::admit(int fd, const Address& peer) {
    if (core_.counters.connections.load() >= connections_max_) {
        return refuse(fd, 503,
                      fmt::format("The server holds {} connections already.", connections_max_));
    }
    const bool counts = !peer.empty() && !core_.trusted.contains(peer);
    if (counts && !core_.gate.enter(peer)) {
        return refuse(fd, 429,
                      fmt::format("The address {} holds {} connections already.", peer,
                                  core_.limits().connections_per_ip));
    }
    ++core_.counters.accepted;
    const std::shared_ptr<Loop>& loop = loops_[next_loop_++ % loops_.size()];
    const auto connection = std::make_shared<Connection>(core_, loop, fd, peer, counts);
    loop->post([connection] { connection->start(); });
}

void Acceptor::refuse(int fd, int status, std::string_view sentence) {
    ++core_.counters.refused;
    if (!core_.certificate.is_loaded()) {
        const HttpResponse response = core_.busy(status, sentence);
        std::string bytes;
        append_head(bytes, response.status, response.headers,
                    {.content_length = response.body.size(),
                     .is_chunked = false,
                     .keep_alive = false,
                     .is_http_1_0 = false});
        bytes.append(response.body);
        // Best effort: what the client sent already is read, because closing over it resets the
        // connection and could take the answer with it.
        char unread[4096];
        while (recv(fd, unread, sizeof(unread), 0) == sizeof(unread)) {
        }
        [[maybe_unused]] const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
    }
    ::close(fd);
}

}  // namespace tenon::net
