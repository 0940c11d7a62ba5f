// One connection of the client: resolve, connect, TLS, and one read and one write at a time.
#pragma once

#include "core/base/result.h"
#include "core/net/client_proxy.h"
#include "core/net/url.h"

#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::net {

using ErrorCode = boost::system::error_code;

// Makes the TLS side of connections; shared by all of a client.
class ClientTls {
public:
    virtual ~ClientTls() = default;
    // kConfig: ca_file cannot be read. An empty one means the system's authorities.
    static Result<std::shared_ptr<ClientTls>> create(bool verify, const std::string& ca_file);
};

// Everything runs on the thread of its io_context. No callback runs after close().
class ClientConnection {
public:
    // `tls` null: plain text. `proxy` null: none. Through one, TLS goes end to end, in a tunnel that
    // CONNECT asks for; plain requests are its own to send on.
    static std::shared_ptr<ClientConnection> create(boost::asio::io_context& io,
                                                    std::shared_ptr<ClientTls> tls, const Url& url,
                                                    const ClientProxy* proxy);
    virtual ~ClientConnection() = default;

    // kBusy: nobody answers there. kInvalid: the certificate is not of this host or not trusted, or
    // the proxy refuses.
    virtual void connect(std::function<void(Status)> done) = 0;
    // Both texts must live until `done`.
    virtual void write(std::string_view first, std::string_view second,
                       std::function<void(ErrorCode)> done) = 0;
    // The next bytes, valid during the callback. Replaces a handler that has not been called, and
    // with it who gets the bytes.
    virtual void receive(std::function<void(ErrorCode, std::string_view)> done) = 0;
    virtual void close() = 0;
    // Whether some of what was written never reached the peer.
    virtual bool has_undelivered() const = 0;
    virtual const std::string& origin() const = 0;
};

}  // namespace tenon::net
