#include "tests/core/net/server_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <utility>

namespace tenon::net {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

HeadDecision TestHandler::on_head(const HttpRequest& request_head) {
    return head ? head(request_head) : HeadDecision{};
}

void TestHandler::on_request(std::shared_ptr<Exchange> exchange, std::shared_ptr<void>) {
    if (request) return request(std::move(exchange));
    const std::string& path = exchange->request().path;
    if (path == "/hold") {
        const std::lock_guard lock(mutex_);
        held_.push_back(std::move(exchange));
        changed_.notify_all();
        return;
    }
    HttpResponse response;
    response.headers.add("Content-Type", "text/plain");
    response.body = path == "/echo" ? exchange->request().body : "hello";
    exchange->respond(std::move(response));
}

HttpResponse TestHandler::on_error(int status, std::string_view sentence) {
    HttpResponse response;
    response.status = status;
    response.body = sentence;
    return response;
}

void TestHandler::on_access(const Access& access) {
    const std::lock_guard lock(mutex_);
    accesses_.push_back({access.request != nullptr, access.status, access.closed});
    changed_.notify_all();
}

std::shared_ptr<Exchange> TestHandler::take_held() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(5), [&] { return !held_.empty(); });
    if (held_.empty()) return nullptr;
    std::shared_ptr<Exchange> first = std::move(held_.front());
    held_.erase(held_.begin());
    return first;
}

std::vector<TestHandler::Seen> TestHandler::accesses(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(5), [&] { return accesses_.size() >= count; });
    return accesses_;
}

std::string RawResponse::header(std::string_view name) const {
    for (size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2)) {
        const std::string_view line = std::string_view(head).substr(at + 2);
        if (line.size() > name.size() && line[name.size()] == ':' &&
            strncasecmp(line.data(), name.data(), name.size()) == 0) {
            const std::string_view value = line.substr(name.size() + 2);
            return std::string(value.substr(0, value.find('\r')));
        }
    }
    return {};
}

RawSocket::RawSocket(uint16_t port, const std::string& source, int receive_bytes) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_bytes > 0) {
        setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (!source.empty()) {
        inet_pton(AF_INET, source.c_str(), &address.sin_addr);
        if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) close();
    }
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) close();
}

RawSocket::RawSocket(const std::string& unix_path) {
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, unix_path.c_str(), sizeof(address.sun_path) - 1);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) close();
}

RawSocket::RawSocket(RawSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

RawSocket& RawSocket::operator=(RawSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(buffer_, other.buffer_);
    return *this;
}

bool RawSocket::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
}

bool RawSocket::fill(milliseconds limit) {
    pollfd ask{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&ask, 1, static_cast<int>(limit.count())) != 1) return false;
    char bytes[16384];
    const ssize_t got = recv(fd_, bytes, sizeof(bytes), 0);
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<size_t>(got));
    return true;
}

std::string RawSocket::read_until(std::string_view marker) {
    size_t at;
    while ((at = buffer_.find(marker)) == std::string::npos) {
        if (!fill(milliseconds(5000))) return std::exchange(buffer_, {});
    }
    std::string found = buffer_.substr(0, at + marker.size());
    buffer_.erase(0, at + marker.size());
    return found;
}

std::string RawSocket::read_to_end() {
    while (fill(milliseconds(5000))) {
    }
    return std::exchange(buffer_, {});
}

RawResponse RawSocket::read_response(bool is_head) {
    RawResponse response;
    response.head = read_until("\r\n\r\n");
    if (response.head.size() < 12 || !response.head.ends_with("\r\n\r\n")) return response;
    response.status = std::stoi(response.head.substr(9, 3));
    if (is_head || response.status == 204 || response.status < 200) {
        response.is_whole = true;
    } else if (response.header("Transfer-Encoding") == "chunked") {
        while (true) {
            const std::string line = read_until("\r\n");
            if (!line.ends_with("\r\n")) return response;
            const size_t size = std::stoul(line, nullptr, 16);
            while (buffer_.size() < size + 2) {
                if (!fill(milliseconds(5000))) return response;
            }
            response.body += buffer_.substr(0, size);
            buffer_.erase(0, size + 2);
            if (size == 0) break;
        }
        response.is_whole = true;
    } else if (const std::string length = response.header("Content-Length"); !length.empty()) {
        const size_t size = std::stoul(length);
        while (buffer_.size() < size && fill(milliseconds(5000))) {
        }
        response.is_whole = buffer_.size() >= size;
        response.body = buffer_.substr(0, size);
        buffer_.erase(0, size);
    } else {
        response.body = read_to_end();
        response.is_whole = true;
    }
    return response;
}

bool RawSocket::is_closed_within(milliseconds limit) {
    const auto end = steady_clock::now() + limit;
    while (true) {
        const auto rest = std::chrono::duration_cast<milliseconds>(end - steady_clock::now());
        if (rest.count() <= 0) return false;
        pollfd ask{.fd = fd_, .events = POLLIN, .revents = 0};
        if (poll(&ask, 1, static_cast<int>(rest.count())) != 1) return false;
        char bytes[4096];
        if (recv(fd_, bytes, sizeof(bytes), 0) <= 0) return true;
    }
}

void RawSocket::end_sending() { shutdown(fd_, SHUT_WR); }

void RawSocket::reset() {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close();
}

void RawSocket::close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

void ServerTest::start() {
    Result<std::unique_ptr<Server>> started = Server::start(options, handler);
    ASSERT_TRUE(started.ok()) << started.error().message;
    server = std::move(started).value();
}

RawResponse ServerTest::ask(std::string_view bytes) {
    RawSocket socket = connect();
    socket.send(bytes);
    return socket.read_response();
}

bool ServerTest::eventually(const std::function<bool()>& condition) {
    const auto end = steady_clock::now() + std::chrono::seconds(5);
    while (!condition()) {
        if (steady_clock::now() > end) return false;
        std::this_thread::sleep_for(milliseconds(2));
    }
    return true;
}

std::string get(std::string_view path, std::string_view more_headers) {
    std::string bytes = "GET ";
    bytes.append(path).append(" HTTP/1.1\r\nHost: localhost\r\n");
    return bytes.append(more_headers).append("\r\n");
}

}  // namespace tenon::net
