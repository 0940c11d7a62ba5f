#include "core/net/http_client.h"
#include "tests/core/net/scripted_peer.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>

#include <unistd.h>

namespace tenon::net {
namespace {

template <auto Free>
struct Freer {
    template <class T>
    void operator()(T* pointer) const {
        Free(pointer);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Freer<SSL_free>>;

// Self-signed, for `names` such as "DNS:localhost,IP:127.0.0.1".
Certificate certify(EVP_PKEY* key, const char* names) {
    Certificate made(X509_new());
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
    X509_set_pubkey(made.get(), key);
    X509_NAME* subject = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(made.get(), subject);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names);
    X509_add_ext(made.get(), extension, -1);
    X509_EXTENSION_free(extension);
    X509_sign(made.get(), key, EVP_sha256());
    return made;
}

class HttpClientTls : public testing::Test {
protected:
    HttpClientTls()
        : key_(EVP_EC_gen("P-256")),
          certificate_(certify(key_.get(), "DNS:localhost,IP:127.0.0.1")),
          context_(SSL_CTX_new(TLS_server_method())),
          file_((std::filesystem::temp_directory_path() /
                 ("tenon-ca-" + std::to_string(getpid()) + ".pem"))
                    .string()) {
        SSL_CTX_use_certificate(context_.get(), certificate_.get());
        SSL_CTX_use_PrivateKey(context_.get(), key_.get());
        std::FILE* file = std::fopen(file_.c_str(), "w");
        PEM_write_X509(file, certificate_.get());
        std::fclose(file);
    }
    ~HttpClientTls() override { std::filesystem::remove(file_); }

    // Answers every request with `answer`; closes without a word at the end when `cut`.
    void serve(PeerSocket& socket, const std::string& answer, bool cut = false) {
        // OpenSSL writes without MSG_NOSIGNAL; only this thread may, the client's may not.
        sigset_t pipe;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
        const Session session(SSL_new(context_.get()));
        SSL_set_fd(session.get(), socket.descriptor());
        if (SSL_accept(session.get()) != 1) return;
        ++handshakes_;
        const char* name = SSL_get_servername(session.get(), TLSEXT_NAMETYPE_host_name);
        if (name != nullptr) names_ += std::string(name) + ";";
        char request[4096];
        while (SSL_read(session.get(), request, sizeof request) > 0) {
            SSL_write(session.get(), answer.data(), static_cast<int>(answer.size()));
            if (cut) break;
        }
        socket.close();
    }

    ClientRequest request(const ScriptedPeer& peer, const std::string& host) {
        ClientRequest made;
        made.url = "https://" + host + ":" + std::to_string(peer.port()) + "/";
        return made;
    }

    Key key_;
    Certificate certificate_;
    Context context_;
    std::string file_, names_;
    std::atomic<int> handshakes_{0};
};

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST_F(HttpClientTls, VerifiesAndReuses) {
    ScriptedPeer peer([&](PeerSocket& socket, int) { serve(socket, kOk); });
    ClientOptions options;
    options.ca_file = file_;
    auto client = Client::create(options);
    ASSERT_TRUE(client.ok());
    for (int i = 0; i < 3; ++i) {
        const Result<HttpResponse> response = (*client)->send(request(peer, "localhost"));
        ASSERT_TRUE(response.ok()) << response.error().message;
        EXPECT_EQ(response->body, "ok");
    }
    EXPECT_EQ(handshakes_, 1);
    const Result<HttpResponse> by_address = (*client)->send(request(peer, "127.0.0.1"));
    EXPECT_TRUE(by_address.ok()) << by_address.error().message;
    client->reset();
    EXPECT_EQ(names_, "localhost;");
}

TEST_F(HttpClientTls, RefusesAStrangerAndAnotherName) {
    ScriptedPeer peer([&](PeerSocket& socket, int) { serve(socket, kOk); });
    auto stranger = Client::create();
    ASSERT_TRUE(stranger.ok());
    Result<HttpResponse> response = (*stranger)->send(request(peer, "localhost"));
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().code, Code::kInvalid);
    EXPECT_NE(response.error().message.find("self-signed"), std::string::npos)
        << response.error().message;

    certificate_ = certify(key_.get(), "DNS:example.com,IP:127.0.0.2");
    SSL_CTX_use_certificate(context_.get(), certificate_.get());
    std::FILE* file = std::fopen(file_.c_str(), "w");
    PEM_write_X509(file, certificate_.get());
    std::fclose(file);
    ClientOptions options;
    options.ca_file = file_;
    auto client = Client::create(options);
    ASSERT_TRUE(client.ok());
    response = (*client)->send(request(peer, "localhost"));
    ASSERT_FALSE(response.ok());
    EXPECT_NE(response.error().message.find("hostname mismatch"), std::string::npos)
        << response.error().message;
    response = (*client)->send(request(peer, "127.0.0.1"));
    ASSERT_FALSE(response.ok());
    EXPECT_NE(response.error().message.find("IP address mismatch"), std::string::npos)
        << response.error().message;
    ClientOptions trusting;
    trusting.verify_tls = false;
    auto careless = Client::create(trusting);
    ASSERT_TRUE(careless.ok());
    EXPECT_TRUE((*careless)->send(request(peer, "localhost")).ok());
}

TEST_F(HttpClientTls, ACutStreamIsNotAWholeOne) {
    ScriptedPeer peer(
        [&](PeerSocket& socket, int) { serve(socket, "HTTP/1.1 200 OK\r\n\r\nhalf", true); });
    ClientOptions options;
    options.ca_file = file_;
    auto client = Client::create(options);
    ASSERT_TRUE(client.ok());
    const Result<HttpResponse> response = (*client)->send(request(peer, "localhost"));
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().code, Code::kData) << response.error().message;
}

TEST_F(HttpClientTls, APlainPeerIsNotTls) {
    ScriptedPeer peer([](PeerSocket& socket, int) {
        socket.write(kOk);
        socket.read_all();
    });
    auto client = Client::create();
    ASSERT_TRUE(client.ok());
    const Result<HttpResponse> response = (*client)->send(request(peer, "localhost"));
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().code, Code::kBusy) << response.error().message;
    EXPECT_EQ(response.error().message.rfind("TLS with localhost:", 0), 0u);
}

}  // namespace
}  // namespace tenon::net
