#include "core/engine/engine_channel.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tenon::engine {

namespace {

constexpr int kReadsMax = 16;  // before the caller has its turn
constexpr size_t kLineBytes = 8u << 10;

}  // namespace

Result<ProgressPage> EngineChannel::open(const std::vector<std::string>& argv,
                                         bool captures_errors) {
    TENON_TRY(ProgressPage page, ProgressPage::create());
    TENON_TRY(child_, ChildProcess::spawn(argv, page.fd(), captures_errors));
    decoder_ = protocol::Decoder(protocol::Sender::kEngine);
    unsent_.clear();
    line_.clear();
    return page;
}

void EngineChannel::wait(int wake, int ms, Arrivals& out) {
    write();
    const short events = static_cast<short>(POLLIN | (unsent_.empty() ? 0 : POLLOUT));
    pollfd ready[] = {{wake, POLLIN, 0},
                      {child_.socket(), events, 0},
                      {child_.errors(), POLLIN, 0},
                      {child_ ? child_.ended() : -1, POLLIN, 0}};
    poll(ready, std::size(ready), ms);
    if (ready[0].revents != 0) {
        uint64_t count = 0;
        static_cast<void>(!read(wake, &count, sizeof(count)));
    }
    if (ready[2].revents != 0) read_lines(out.lines);
    if (ready[1].revents != 0) read_messages(out);
    if (ready[3].revents == 0) return;
    if (!is_open()) {
        read_lines(out.lines);
        child_.wait(0);
        return;
    }
    // Somebody else may hold the other end: what can be read now is all there is.
    char byte = 0;
    while (!out.end && recv(child_.socket(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
        read_messages(out);
    if (!out.end) out.end.emplace();
}

void EngineChannel::write() {
    size_t sent = 0;
    while (is_open() && sent < unsent_.size()) {
        const ssize_t count = ::send(child_.socket(), unsent_.data() + sent, unsent_.size() - sent,
                                     MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) break;  // full; or ended, which the next read tells
        sent += static_cast<size_t>(count);
    }
    unsent_.erase(0, sent);
}

void EngineChannel::read_messages(Arrivals& out) {
    for (int reads = 0; reads < kReadsMax; ++reads) {
        const ssize_t count = recv(child_.socket(), chunk_.data(), chunk_.size(), MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (count <= 0) {
            out.end.emplace();
            return;
        }
        const Status status =
            decoder_.feed({chunk_.data(), static_cast<size_t>(count)}, out.messages);
        if (!status.ok()) {
            out.end = "it sent what is not a message: " + status.error().message;
            return;
        }
    }
}

void EngineChannel::read_lines(std::vector<std::string>& out) {
    while (child_.errors() >= 0) {
        const ssize_t count = read(child_.errors(), chunk_.data(), chunk_.size());
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (count > 0) line_.append(chunk_.data(), static_cast<size_t>(count));
        size_t start = 0;
        for (size_t end = 0; (end = line_.find('\n', start)) != std::string::npos; start = end + 1)
            out.push_back(line_.substr(start, std::min(end - start, kLineBytes)));
        line_.erase(0, start);
        if (line_.size() > kLineBytes || (count <= 0 && !line_.empty())) {
            out.push_back(line_.substr(0, kLineBytes));
            line_.clear();
        }
        if (count <= 0) child_.close_errors();
    }
}

std::optional<int> EngineChannel::close(int ms, std::vector<std::string>& lines) {
    std::optional<int> status;
    if (ms > 0) status = child_.wait(ms);
    child_.kill();
    child_.close_socket();
    read_lines(lines);
    return status;
}

void EngineChannel::shut_down(int ms, std::vector<std::string>& lines) {
    // Where another message was cut in two, the end of the stream says the same.
    static_cast<void>(say(protocol::Shutdown{}).ok());
    write();
    if (is_open()) ::shutdown(child_.socket(), SHUT_WR);
    if (child_) child_.wait(ms);
    read_lines(lines);
    child_ = {};
}

}  // namespace tenon::engine
