#include "core/net/client_connection.h"

#include "core/net/client_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

#include <fmt/format.h>

#include <array>
#include <optional>
#include <type_traits>

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

namespace tenon::net {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using tcp = boost::asio::ip::tcp;

namespace {

constexpr size_t kReadBytes = 32 << 10;
constexpr uint32_t kTunnelHeadBytes = 16 << 10;  // of a proxy's answer to CONNECT

class TlsContext : public ClientTls {
public:
    explicit TlsContext(bool is_verifying) : verify(is_verifying) {}
    ssl::context context{ssl::context::tls_client};
    const bool verify;
};

using TlsStream = ssl::stream<tcp::socket>;

tcp::socket& socket_of(tcp::socket& stream) { return stream; }
tcp::socket& socket_of(TlsStream& stream) { return stream.next_layer(); }

bool is_address(const std::string& host) {
    ErrorCode error;
    asio::ip::make_address(host, error);
    return !error;
}

template <class Stream>
class StreamConnection : public ClientConnection,
                         public std::enable_shared_from_this<StreamConnection<Stream>> {
public:
    template <class... Arguments>
    StreamConnection(asio::io_context& io, const Url& url, std::shared_ptr<ClientTls> tls,
                     const ClientProxy* proxy, Arguments&&... arguments)
        : tls_(std::move(tls)),
          resolver_(io),
          stream_(std::forward<Arguments>(arguments)...),
          port_(url.port),
          host_(url.host),
          authority_(url.host_and_port()),
          origin_(url.origin()) {
        if (proxy != nullptr) proxy_ = *proxy;
    }

    void connect(std::function<void(Status)> done) override {
        on_connected_ = std::move(done);
        const std::string host = proxy_ ? proxy_->host : host_;
        const std::string port = std::to_string(proxy_ ? proxy_->port : port_);
        resolver_.async_resolve(
            host, port, [self = this->shared_from_this(), host](ErrorCode error, auto found) {
                if (self->is_closed_) return;
                if (error) {
                    self->end_connect(self->proxy_ ? fmt::format("cannot find the proxy {} of {}",
                                                                 host, self->proxy_->variable)
                                                   : fmt::format("cannot find {}", host),
                                      error);
                    return;
                }
                asio::async_connect(socket_of(self->stream_), found,
                                    [self](ErrorCode failed, const tcp::endpoint&) {
                                        if (!self->is_closed_) self->on_tcp(failed);
                                    });
            });
    }

    void write(std::string_view first, std::string_view second,
               std::function<void(ErrorCode)> done) override {
        const std::array<asio::const_buffer, 2> parts = {
            asio::buffer(first.data(), first.size()), asio::buffer(second.data(), second.size())};
        asio::async_write(
            stream_, parts,
            [self = this->shared_from_this(), done = std::move(done)](ErrorCode error, size_t) {
                if (!self->is_closed_) done(error);
            });
    }

    void receive(std::function<void(ErrorCode, std::string_view)> done) override {
        on_bytes_ = std::move(done);
        if (is_reading_) return;
        is_reading_ = true;
        stream_.async_read_some(asio::buffer(buffer_),
                                [self = this->shared_from_this()](ErrorCode error, size_t count) {
                                    self->is_reading_ = false;
                                    if (self->is_closed_) return;
                                    const auto on_bytes = std::move(self->on_bytes_);
                                    self->on_bytes_ = nullptr;
                                    if (on_bytes) on_bytes(error, {self->buffer_.data(), count});
                                });
    }

    void close() override {
        if (is_closed_) return;
        is_closed_ = true;
        resolver_.cancel();
        ErrorCode ignored;
        socket_of(stream_).close(ignored);
        on_bytes_ = nullptr;
        on_connected_ = nullptr;
    }

    bool has_undelivered() const override {
        // SIOCOUTQ (tcp(7)): bytes written and not acknowledged; it outlives a reset.
        int bytes = 0;
        auto& socket = socket_of(const_cast<Stream&>(stream_));
        return socket.is_open() && ioctl(socket.native_handle(), SIOCOUTQ, &bytes) == 0 &&
               bytes > 0;
    }

    const std::string& origin() const override { return origin_; }

private:
    void on_tcp(ErrorCode error) {
        if (error) {
            end_connect(proxy_ ? fmt::format("cannot connect to the proxy {} of {}", proxy_->name(),
                                             proxy_->variable)
                               : fmt::format("cannot connect to {}", authority_),
                        error);
            return;
        }
        tcp::socket& socket = socket_of(stream_);
        fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
        ErrorCode ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        socket.set_option(asio::socket_base::keep_alive(true), ignored);
        if constexpr (std::is_same_v<Stream, TlsStream>) {
            if (proxy_) {
                ask_for_tunnel();
            } else {
                start_tls();
            }
        } else {
            end_connect({}, {});
        }
    }

    void ask_for_tunnel() {
        tunnel_request_ =
            fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nUser-Agent: tenon\r\n", authority_);
        if (!proxy_->authorization.empty()) {
            tunnel_request_ += fmt::format("Proxy-Authorization: {}\r\n", proxy_->authorization);
        }
        tunnel_request_ += "\r\n";
        ResponseParser::Limits limits;
        limits.head_bytes = kTunnelHeadBytes;
        tunnel_.emplace(true, limits);
        // A write that fails is left to the read.
        asio::async_write(socket_of(stream_), asio::buffer(tunnel_request_),
                          [self = this->shared_from_this()](ErrorCode, size_t) {});
        read_tunnel();
    }

    void read_tunnel() {
        socket_of(stream_).async_read_some(
            asio::buffer(buffer_),
            [self = this->shared_from_this()](ErrorCode error, size_t count) {
                if (self->is_closed_) return;
                if (count == 0) {
                    self->end_connect(
                        fmt::format("the proxy {} closed the connection before it answered",
                                    self->proxy_->name()),
                        error ? error : ErrorCode(asio::error::eof));
                    return;
                }
                self->take_tunnel({self->buffer_.data(), count});
            });
    }

    void take_tunnel(std::string_view bytes) {
        const Result<ResponseParser::Piece> piece = tunnel_->next(bytes);
        if (!piece.ok()) {
            end_connect(Error{Code::kData, fmt::format("the proxy {} answered no HTTP: {}",
                                                       proxy_->name(), piece.error().message)});
            return;
        }
        if (*piece == ResponseParser::Piece::kMore) {
            read_tunnel();
            return;
        }
        if (tunnel_->status() / 100 != 2) {
            end_connect(proxy_->refusal(tunnel_->status(), tunnel_->headers(),
                                        "a connection to " + authority_));
        } else if (!bytes.empty()) {
            end_connect(
                Error{Code::kData, fmt::format("the proxy {} sent {} bytes before TLS began",
                                               proxy_->name(), bytes.size())});
        } else {
            start_tls();
        }
    }

    void start_tls() {
        const bool verify = static_cast<const TlsContext&>(*tls_).verify;
        SSL* const native = stream_.native_handle();
        bool is_set = true;
        if (is_address(host_)) {
            is_set = !verify ||
                     X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(native), host_.c_str()) == 1;
        } else {
            is_set = SSL_set_tlsext_host_name(native, host_.c_str()) == 1 &&
                     (!verify || SSL_set1_host(native, host_.c_str()) == 1);
        }
        if (!is_set) {
            end_connect(Error{Code::kInternal, "OpenSSL does not take the name " + host_});
            return;
        }
        stream_.async_handshake(
            TlsStream::client, [self = this->shared_from_this()](ErrorCode failed) {
                if (self->is_closed_) return;
                const long judged = SSL_get_verify_result(self->stream_.native_handle());
                if (failed && judged != X509_V_OK) {
                    self->end_connect(
                        Error{Code::kInvalid,
                              fmt::format("the certificate of {} is refused: {}", self->authority_,
                                          X509_verify_cert_error_string(judged))});
                } else {
                    self->end_connect(fmt::format("TLS with {} failed", self->authority_), failed);
                }
            });
    }

    void end_connect(const std::string& what, ErrorCode error) {
        end_connect(error ? Status(Error{Code::kBusy, fmt::format("{}: {}", what, error.message())})
                          : Status());
    }
    void end_connect(Status status) {
        const auto done = std::move(on_connected_);
        on_connected_ = nullptr;
        if (done) done(std::move(status));
    }

    std::shared_ptr<ClientTls> tls_;
    tcp::resolver resolver_;
    Stream stream_;
    const uint16_t port_;
    std::string host_, authority_, origin_;
    std::optional<ClientProxy> proxy_;
    std::optional<ResponseParser> tunnel_;
    std::string tunnel_request_;
    std::function<void(Status)> on_connected_;
    std::function<void(ErrorCode, std::string_view)> on_bytes_;
    std::array<char, kReadBytes> buffer_;
    bool is_reading_ = false, is_closed_ = false;
};

}  // namespace

Result<std::shared_ptr<ClientTls>> ClientTls::create(bool verify, const std::string& ca_file) {
    ErrorCode error;
    std::shared_ptr<TlsContext> tls;
    try {
        tls = std::make_shared<TlsContext>(verify);
        if (SSL_CTX_set_min_proto_version(tls->context.native_handle(), TLS1_2_VERSION) != 1) {
            return Error{Code::kInternal, "OpenSSL has no TLS 1.2"};
        }
        tls->context.set_verify_mode(verify ? ssl::verify_peer : ssl::verify_none, error);
        if (error) return Error{Code::kInternal, "OpenSSL: " + error.message()};
        if (!ca_file.empty()) {
            tls->context.load_verify_file(ca_file, error);
        } else if (verify) {
            tls->context.set_default_verify_paths(error);
        }
    } catch (const boost::system::system_error& failure) {
        return Error{Code::kInternal, fmt::format("OpenSSL: {}", failure.what())};
    }
    if (error) {
        return Error{
            Code::kConfig,
            fmt::format("cannot read the certificates of authorities in {}: {}",
                        ca_file.empty() ? "the system's folder" : ca_file, error.message())};
    }
    return std::shared_ptr<ClientTls>(std::move(tls));
}

std::shared_ptr<ClientConnection> ClientConnection::create(asio::io_context& io,
                                                           std::shared_ptr<ClientTls> tls,
                                                           const Url& url,
                                                           const ClientProxy* proxy) {
    if (tls == nullptr) {
        return std::make_shared<StreamConnection<tcp::socket>>(io, url, nullptr, proxy, io);
    }
    ssl::context& context = static_cast<TlsContext&>(*tls).context;
    return std::make_shared<StreamConnection<TlsStream>>(io, url, std::move(tls), proxy, io,
                                                         context);
}

}  // namespace tenon::net
