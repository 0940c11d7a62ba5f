// The server behind TLS: versions, broken handshakes, and certificates exchanged while it runs.
#include "core/net/http_server.h"
#include "tests/core/net/server_fixture.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

namespace tenon::net {
namespace {

using std::chrono::milliseconds;

class HttpServerTls : public ServerTest {
protected:
    HttpServerTls()
        : folder_(std::filesystem::temp_directory_path() /
                  ("tenon-tls-" + std::to_string(getpid()))) {
        std::filesystem::create_directories(folder_);
        options.tls = {(folder_ / "certificate.pem").string(), (folder_ / "key.pem").string()};
        write_pair("first", 3600);
    }
    ~HttpServerTls() override {
        server.reset();
        std::filesystem::remove_all(folder_);
    }

    // A self-signed certificate of this name, and its key.
    void write_pair(const char* name, long seconds_left) {
        const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"),
                                                                      EVP_PKEY_free);
        const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), X509_free);
        X509_set_version(made.get(), X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
        X509_gmtime_adj(X509_getm_notBefore(made.get()), -7200);
        X509_gmtime_adj(X509_getm_notAfter(made.get()), seconds_left);
        X509_set_pubkey(made.get(), key.get());
        X509_NAME* subject = X509_get_subject_name(made.get());
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
        X509_set_issuer_name(made.get(), subject);
        X509_sign(made.get(), key.get(), EVP_sha256());
        std::FILE* file = std::fopen(options.tls.certificate_file.c_str(), "w");
        PEM_write_X509(file, made.get());
        std::fclose(file);
        file = std::fopen(options.tls.key_file.c_str(), "w");
        PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
    }

    // A client that accepts any certificate.
    struct Client {
        Client(uint16_t port, int version_max)
            : socket(port), context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
            SSL_CTX_set_max_proto_version(context.get(), version_max);
            SSL_CTX_set_security_level(context.get(), 0);
            session.reset(SSL_new(context.get()));
            SSL_set_fd(session.get(), socket.fd());
            is_connected = SSL_connect(session.get()) == 1;
        }
        bool send(std::string_view bytes) {
            return SSL_write(session.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
        }
        std::string read_until(std::string_view marker) {
            while (buffer.find(marker) == std::string::npos) {
                char bytes[16384];
                const int got = SSL_read(session.get(), bytes, sizeof(bytes));
                if (got <= 0) break;
                buffer.append(bytes, static_cast<size_t>(got));
            }
            const size_t at = buffer.find(marker);
            const size_t size = at == std::string::npos ? buffer.size() : at + marker.size();
            std::string found = buffer.substr(0, size);
            buffer.erase(0, size);
            return found;
        }
        std::string name() {
            X509* peer = SSL_get1_peer_certificate(session.get());
            char text[64] = "";
            X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, text, 64);
            X509_free(peer);
            return text;
        }
        RawSocket socket;
        std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context;
        std::unique_ptr<SSL, decltype(&SSL_free)> session{nullptr, SSL_free};
        bool is_connected = false;
        std::string buffer;
    };
    std::unique_ptr<Client> open(int version_max = TLS1_3_VERSION) {
        return std::make_unique<Client>(server->port(), version_max);
    }

    std::filesystem::path folder_;
};

TEST_F(HttpServerTls, AnswersOverTls12And13) {
    std::atomic<bool> is_tls = false;
    handler.head = [&](const HttpRequest& head) {
        is_tls = head.tls;
        return HeadDecision{};
    };
    start();
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto client = open(version);
        ASSERT_TRUE(client->is_connected);
        for (int i = 0; i < 2; ++i) {
            client->send(get("/"));
            EXPECT_NE(client->read_until("hello").find("200 OK"), std::string::npos);
        }
    }
    EXPECT_TRUE(is_tls);
    EXPECT_FALSE(open(TLS1_1_VERSION)->is_connected);
    const std::optional<int64_t> left = server->tls_expires_in();
    ASSERT_TRUE(left);
    EXPECT_NEAR(static_cast<double>(*left), 3600, 60);
}

TEST_F(HttpServerTls, LargeBodiesBothWays) {
    start();
    const auto client = open();
    const std::string body(3 << 20, 'b');
    std::thread sender([&] {
        client->send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body);
    });
    sender.join();
    client->read_until("\r\n\r\n");
    EXPECT_EQ(client->read_until(body).size(), body.size());
}

TEST_F(HttpServerTls, BrokenHandshakesEnd) {
    options.limits.header_ms = 150;
    start();
    RawSocket garbage = connect(), stalled = connect();
    garbage.send(get("/"));
    EXPECT_TRUE(garbage.is_closed_within(milliseconds(1000)));
    stalled.send("\x16\x03\x01\x02");
    EXPECT_TRUE(stalled.is_closed_within(milliseconds(2000)));
    EXPECT_EQ(server->stats().timeouts, 1u);
    const auto client = open();
    client->send(get("/"));
    EXPECT_NE(client->read_until("hello").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTls, AReloadDropsNoStream) {
    start();
    const auto old = open();
    old->send(get("/hold"));
    const std::shared_ptr<Exchange> held = handler.take_held();
    ASSERT_TRUE(held);
    held->begin(200, {});
    held->write("before");
    old->read_until("before");
    EXPECT_EQ(old->name(), "first");

    write_pair("second", 7200);
    ASSERT_TRUE(server->reload_tls().ok());
    EXPECT_EQ(open()->name(), "second");
    held->write("after");
    held->finish();
    EXPECT_NE(old->read_until("0\r\n\r\n").find("after"), std::string::npos);
    EXPECT_GT(*server->tls_expires_in(), 5000);
}

TEST_F(HttpServerTls, AFailedReloadKeepsTheOldCertificate) {
    start();
    write_pair("expired", -10);
    Status status = server->reload_tls();
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find("expired"), std::string::npos);
    write_pair("other", 3600);
    std::filesystem::remove(options.tls.key_file);
    status = server->reload_tls();
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find(options.tls.key_file), std::string::npos);
    std::FILE* file = std::fopen(options.tls.certificate_file.c_str(), "w");
    std::fputs("not PEM", file);
    std::fclose(file);
    EXPECT_FALSE(server->reload_tls().ok());
    EXPECT_EQ(open()->name(), "first");
}

TEST_F(HttpServerTls, AClientThatLeavesIsNoticed) {
    start();
    for (const bool is_polite : {true, false}) {
        auto client = open();
        client->send(get("/hold"));
        const std::shared_ptr<Exchange> held = handler.take_held();
        ASSERT_TRUE(held);
        std::atomic<bool> is_gone = false;
        held->on_close([&](CloseReason) { is_gone = true; });
        if (is_polite) SSL_shutdown(client->session.get());
        client->socket.close();
        EXPECT_TRUE(eventually([&] { return is_gone.load(); }));
    }
}

}  // namespace
}  // namespace tenon::net
