// Takes new connections off a listening socket: the limits of how many, and what happens when the
// process has no descriptor left. Internal to the server; includes Asio.
#pragma once

#include "core/net/server_core.h"
#include "core/net/server_loop.h"
#include "core/net/server_socket.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <vector>

namespace tenon::net {

// Lives on the first loop; start() and stop() run there.
class Acceptor {
public:
    Acceptor(ServerCore& core, const std::vector<std::shared_ptr<Loop>>& loops, Listener listener);
    ~Acceptor();

    void start();
    // Refuses new connections from now on.
    void stop();

private:
    void wait();
    void wait_a_moment();
    void on_acceptable();
    // Answers one connection with a 503 through the descriptor kept for this.
    void refuse_with_spare();
    void admit(int fd, const Address& peer);
    void refuse(int fd, int status, std::string_view sentence);

    ServerCore& core_;
    const std::vector<std::shared_ptr<Loop>>& loops_;
    const Listener listener_;
    const uint32_t connections_max_;
    boost::asio::posix::stream_descriptor socket_;
    boost::asio::steady_timer timer_;
    int spare_fd_ = -1;
    size_t next_loop_ = 0;
    bool is_stopped_ = false;
};

}  // namespace tenon::net
