// The client's address behind proxies: X-Forwarded-For, the PROXY protocol, and a real nginx.
#include "core/net/http_server.h"
#include "tests/core/net/server_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

namespace tenon::net {
namespace {

using std::chrono::milliseconds;

class HttpServerProxy : public ServerTest {
protected:
    // "/who" answers with the client's address; "/hold" as ever.
    HttpServerProxy() {
        handler.request = [this](std::shared_ptr<Exchange> exchange) {
            if (exchange->request().path == "/hold") {
                const std::lock_guard lock(mutex_);
                held_.push_back(std::move(exchange));
                return;
            }
            HttpResponse response;
            response.body = exchange->request().client;
            exchange->respond(std::move(response));
        };
    }
    ~HttpServerProxy() override { held_.clear(); }

    std::string who(RawSocket& socket, std::string_view headers = {}) {
        socket.send(get("/who", headers));
        return socket.read_response().body;
    }
    size_t held() {
        const std::lock_guard lock(mutex_);
        return held_.size();
    }
    void let_go() {
        const std::lock_guard lock(mutex_);
        for (const auto& exchange : held_)
            exchange->respond({});
        held_.clear();
    }

    std::mutex mutex_;
    std::vector<std::shared_ptr<Exchange>> held_;
};

TEST_F(HttpServerProxy, AForgedHeaderOfAnUntrustedPeerDoesNotCount) {
    options.trusted_proxies = {"127.0.0.9/32"};
    start();
    RawSocket direct = connect(), proxied = connect("127.0.0.9");
    EXPECT_EQ(who(direct, "X-Forwarded-For: 6.6.6.6\r\n"), "127.0.0.1");
    EXPECT_EQ(who(proxied, "X-Forwarded-For: 6.6.6.6\r\n"), "6.6.6.6");
    EXPECT_EQ(who(proxied, "X-Forwarded-For: 6.6.6.6, 7.7.7.7\r\n"), "7.7.7.7");
    EXPECT_EQ(who(proxied), "127.0.0.9");
}

TEST_F(HttpServerProxy, LimitsCountClientsAndNotProxies) {
    options.trusted_proxies = {"127.0.0.9"};
    options.limits.connections_per_ip = 1;
    start();
    std::vector<RawSocket> proxied;
    for (int i = 0; i < 5; ++i)
        proxied.push_back(connect("127.0.0.9"));
    const std::string one = "X-Forwarded-For: 1.1.1.1\r\n", two = "X-Forwarded-For: 2.2.2.2\r\n";
    proxied[0].send(get("/hold", one));
    ASSERT_TRUE(eventually([&] { return held() == 1; }));
    proxied[1].send(get("/who", one));
    const RawResponse refused = proxied[1].read_response();
    EXPECT_EQ(refused.status, 429);
    EXPECT_NE(refused.body.find("1.1.1.1"), std::string::npos);
    EXPECT_EQ(who(proxied[1], two), "2.2.2.2");  // the proxy's connection goes on
    EXPECT_EQ(who(proxied[2]), "127.0.0.9");
    let_go();
    EXPECT_EQ(proxied[0].read_response().status, 200);
    EXPECT_EQ(who(proxied[3], one), "1.1.1.1");
}

std::string header_2(std::string_view addresses) {
    std::string bytes("\r\n\r\n\0\r\nQUIT\n\x21\x11\0", 15);
    bytes += static_cast<char>(addresses.size());
    return bytes.append(addresses);
}

TEST_F(HttpServerProxy, ReadsTheProxyProtocol) {
    options.trusted_proxies = {"127.0.0.9"};
    options.proxy_protocol = true;
    options.limits.connections_per_ip = 1;
    options.limits.header_ms = 200;
    start();
    RawSocket first = connect("127.0.0.9"), second = connect("127.0.0.9");
    for (const char c : std::string("PROXY TCP4 9.8.7.6 127.0.0.1 4660 80\r\n")) {
        first.send({&c, 1});
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    EXPECT_EQ(who(first), "9.8.7.6");
    EXPECT_EQ(who(first), "9.8.7.6");  // one header for all requests of the connection
    second.send(header_2(std::string("\x05\x06\x07\x08\x7f\0\0\x01\x12\x34\0\x50 and more", 21)));
    EXPECT_EQ(who(second), "5.6.7.8");

    RawSocket again = connect("127.0.0.9");  // its client holds a connection already
    again.send("PROXY TCP4 9.8.7.6 127.0.0.1 4661 80\r\n" + get("/who"));
    EXPECT_TRUE(again.is_closed_within(milliseconds(1000)));
    RawSocket health = connect("127.0.0.9");
    health.send("PROXY UNKNOWN\r\n");
    EXPECT_EQ(who(health), "127.0.0.9");

    RawSocket none = connect("127.0.0.9"), silent = connect("127.0.0.9");
    none.send(get("/who"));
    EXPECT_TRUE(none.is_closed_within(milliseconds(1000)));
    silent.send("PROXY TCP4 9.8");
    EXPECT_TRUE(silent.is_closed_within(milliseconds(2000)));
    RawSocket untrusted = connect("127.0.0.2");
    untrusted.send("PROXY TCP4 9.8.7.6 127.0.0.1 4660 80\r\n" + get("/who"));
    EXPECT_EQ(untrusted.read_response().status, 400);
}

// nginx in front, in a folder of its own.
class Nginx {
public:
    explicit Nginx(uint16_t upstream)
        : folder_(std::filesystem::temp_directory_path() /
                  ("tenon-nginx-" + std::to_string(getpid()))),
          port_(free_port()) {
        std::filesystem::create_directories(folder_);
        const std::string folder = folder_.string();
        std::ofstream config(folder_ / "nginx.conf");
        config << "daemon off; master_process off; pid " << folder << "/pid;\n"
               << "error_log " << folder << "/error.log;\n"
               << "events { worker_connections 64; }\nhttp { access_log off;\n";
        for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
            config << kind << "_temp_path " << folder << "/" << kind << ";\n";
        }
        config << "server { listen 127.0.0.1:" << port_ << "; location / {\n"
               << "proxy_pass http://127.0.0.1:" << upstream << "; proxy_bind 127.0.0.9;\n"
               << "proxy_http_version 1.1; proxy_set_header Connection \"\";\n"
               << "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
               << "proxy_buffering off; } } }\n";
        config.close();
        process_ = fork();
        if (process_ == 0) {
            const int quiet = open("/dev/null", O_WRONLY);
            dup2(quiet, 1);
            dup2(quiet, 2);
            const std::string file = folder + "/nginx.conf", log = folder + "/error.log";
            execl("/usr/sbin/nginx", "nginx", "-p", folder.c_str(), "-e", log.c_str(), "-c",
                  file.c_str(), nullptr);
            _exit(127);
        }
    }
    ~Nginx() {
        kill(process_, SIGKILL);
        waitpid(process_, nullptr, 0);
        std::filesystem::remove_all(folder_);
    }
    uint16_t port() const { return port_; }

private:
    static uint16_t free_port() {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address);
        bind(fd, reinterpret_cast<const sockaddr*>(&address), size);
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
        close(fd);
        return ntohs(address.sin_port);
    }

    std::filesystem::path folder_;
    uint16_t port_;
    pid_t process_;
};

TEST_F(HttpServerProxy, TwoClientsBehindNginxHaveTheirOwnLimits) {
    if (access("/usr/sbin/nginx", X_OK) != 0) GTEST_SKIP() << "nginx is not installed";
    options.trusted_proxies = {"127.0.0.9"};
    options.limits.connections_per_ip = 1;
    start();
    const Nginx nginx(server->port());
    const auto from = [&](const char* address) { return RawSocket(nginx.port(), address); };
    ASSERT_TRUE(eventually([&] { return from("127.0.0.1").fd() >= 0; }));

    RawSocket one = from("127.0.0.1"), two = from("127.0.0.2");
    EXPECT_EQ(who(one), "127.0.0.1");
    EXPECT_EQ(who(two), "127.0.0.2");
    EXPECT_EQ(who(two, "X-Forwarded-For: 6.6.6.6\r\n"), "127.0.0.2");
    EXPECT_EQ(who(two, "X-Forwarded-For: 127.0.0.9\r\n"), "127.0.0.2");

    one.send(get("/hold"));
    ASSERT_TRUE(eventually([&] { return held() == 1; }));
    RawSocket greedy = from("127.0.0.1");
    greedy.send(get("/who", "X-Forwarded-For: 6.6.6.6\r\n"));  // pretending does not help
    EXPECT_EQ(greedy.read_response().status, 429);
    EXPECT_EQ(who(two), "127.0.0.2");
    let_go();
    EXPECT_EQ(one.read_response().status, 200);
    // A client that leaves nginx is gone here too.
    one.send(get("/hold"));
    ASSERT_TRUE(eventually([&] { return held() == 1; }));
    one.close();
    EXPECT_TRUE(eventually([&] { return server->stats().active == 0; }));
}

}  // namespace
}  // namespace tenon::net
