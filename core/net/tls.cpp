#include "core/net/tls.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>

namespace tenon::net {
namespace {

std::string openssl_reason() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "no reason given" : reason;
}

// A socket BIO whose write never raises SIGPIPE.
int bio_write(BIO* bio, const char* data, int size) {
    int fd = -1;
    BIO_get_fd(bio, &fd);
    BIO_clear_retry_flags(bio);
    const ssize_t sent = send(fd, data, static_cast<size_t>(size), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
}

const BIO_METHOD* socket_method() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOCKET, "socket without SIGPIPE");
        const BIO_METHOD* plain = BIO_s_socket();
        BIO_meth_set_write(made, bio_write);
        BIO_meth_set_read(made, BIO_meth_get_read(plain));
        BIO_meth_set_ctrl(made, BIO_meth_get_ctrl(plain));
        BIO_meth_set_create(made, BIO_meth_get_create(plain));
        BIO_meth_set_destroy(made, BIO_meth_get_destroy(plain));
        return made;
    }();
    return method;
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned int in_size, void*) {
    static constexpr unsigned char kOurs[] = "\x08http/1.1";
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_size, kOurs, sizeof(kOurs) - 1, in, in_size) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

std::optional<int64_t> seconds_left(SSL_CTX* context) {
    const X509* certificate = SSL_CTX_get0_certificate(context);
    int days = 0, seconds = 0;
    if (certificate == nullptr ||
        ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate)) != 1) {
        return std::nullopt;
    }
    return int64_t{days} * 86'400 + seconds;
}

}  // namespace

Status TlsCertificate::load(const std::string& certificate_file, const std::string& key_file) {
    ERR_clear_error();
    std::shared_ptr<SSL_CTX> made(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    if (!made) return Error{Code::kOomHost, "OpenSSL made no context: " + openssl_reason()};
    SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(made.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                        SSL_OP_CIPHER_SERVER_PREFERENCE |
                                        SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(made.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                     SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(made.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(made.get(), select_alpn, nullptr);
    // Never ask for a passphrase on the terminal.
    SSL_CTX_set_default_passwd_cb(made.get(), [](char*, int, int, void*) { return 0; });
    if (SSL_CTX_use_certificate_chain_file(made.get(), certificate_file.c_str()) != 1) {
        return Error{Code::kConfig, fmt::format("{} is no PEM certificate chain: {}",
                                                certificate_file, openssl_reason())};
    }
    if (SSL_CTX_use_PrivateKey_file(made.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
        return Error{Code::kConfig, fmt::format("{} is no PEM key of the certificate {}: {}",
                                                key_file, certificate_file, openssl_reason())};
    }
    if (SSL_CTX_check_private_key(made.get()) != 1) {
        return Error{Code::kConfig, fmt::format("{} is not the key of the certificate {}", key_file,
                                                certificate_file)};
    }
    const std::optional<int64_t> left = seconds_left(made.get());
    if (!left || *left <= 0) {
        return Error{Code::kConfig,
                     fmt::format("the certificate {} has expired", certificate_file)};
    }
    const std::lock_guard lock(mutex_);
    context_ = std::move(made);
    return {};
}

bool TlsCertificate::is_loaded() const { return context() != nullptr; }

std::optional<int64_t> TlsCertificate::expires_in() const {
    const std::shared_ptr<SSL_CTX> used = context();
    return used ? seconds_left(used.get()) : std::nullopt;
}

std::shared_ptr<ssl_ctx_st> TlsCertificate::context() const {
    const std::lock_guard lock(mutex_);
    return context_;
}

Stream::~Stream() {
    if (ssl_ != nullptr) SSL_free(ssl_);
}

Status Stream::start_tls(std::shared_ptr<ssl_ctx_st> context) {
    ERR_clear_error();
    BIO* bio = BIO_new(socket_method());
    SSL* made = SSL_new(context.get());
    if (bio == nullptr || made == nullptr) {
        BIO_free(bio);
        SSL_free(made);
        return Error{Code::kOomHost, "OpenSSL made no connection: " + openssl_reason()};
    }
    BIO_set_fd(bio, fd_, BIO_NOCLOSE);
    SSL_set_bio(made, bio, bio);
    SSL_set_accept_state(made);
    ssl_ = made;
    context_ = std::move(context);
    return {};
}

StreamState Stream::state_of(int result) {
    const int error = SSL_get_error(ssl_, result);
    ERR_clear_error();
    switch (error) {
        case SSL_ERROR_WANT_READ: return StreamState::kAgain;
        case SSL_ERROR_WANT_WRITE: return StreamState::kAgainWrite;
        case SSL_ERROR_ZERO_RETURN: return StreamState::kEnd;
        default: return StreamState::kError;
    }
}

StreamState Stream::handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    return result == 1 ? StreamState::kOk : state_of(result);
}

StreamState Stream::read(char* data, size_t size, size_t& count) {
    if (ssl_ != nullptr) {
        ERR_clear_error();
        const int result = SSL_read_ex(ssl_, data, size, &count);
        return result == 1 ? StreamState::kOk : state_of(result);
    }
    const ssize_t got = recv(fd_, data, size, 0);
    if (got > 0) {
        count = static_cast<size_t>(got);
        return StreamState::kOk;
    }
    if (got == 0) return StreamState::kEnd;
    return errno == EAGAIN || errno == EINTR ? StreamState::kAgain : StreamState::kError;
}

StreamState Stream::write(std::string_view bytes, size_t& count) {
    if (ssl_ != nullptr) {
        ERR_clear_error();
        const int result = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &count);
        return result == 1 ? StreamState::kOk : state_of(result);
    }
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
        count = static_cast<size_t>(sent);
        return StreamState::kOk;
    }
    return errno == EAGAIN || errno == EINTR ? StreamState::kAgainWrite : StreamState::kError;
}

void Stream::shutdown_write() {
    if (ssl_ != nullptr && SSL_is_init_finished(ssl_)) {
        ERR_clear_error();
        SSL_shutdown(ssl_);
        ERR_clear_error();
    }
    shutdown(fd_, SHUT_WR);
}

bool Stream::has_buffered() const { return ssl_ != nullptr && SSL_pending(ssl_) > 0; }

}  // namespace tenon::net
