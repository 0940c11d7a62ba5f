#include "core/server/front.h"

#include "core/net/http_client.h"
#include "core/server/service.h"
#include "tests/core/server/rig.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::server {
namespace {

constexpr const char* kKey = "sk-alice-0123456789";

// The whole front over loopback, with an engine that answers "ok" to everything.
class FrontTest : public ::testing::Test {
protected:
    FrontTest() {
        config.port = 0;
        client = std::move(net::Client::create()).value();
        engine.engine_info->model_name = "tiny";
        engine.engine_info->vocab_size = 288;
        engine.engine_info->context_length = 256;
        engine.on_submit = [](server::testing::FakeEngine& self, size_t index) {
            self.schedule(index);
            self.say(index, "ok", {{1, 0, {}}});
            if (!self.sequences[index].is_finished) self.finish(index);
        };
    }
    ~FrontTest() override {
        if (front) front->stop_now();
        std::remove(key_file.c_str());
    }
    void write_keys(const std::string& text) {
        std::remove(key_file.c_str());
        std::ofstream(key_file) << text;
        chmod(key_file.c_str(), 0600);
        config.api_key_file = key_file;
    }
    void open(bool attach = true) {
        FrontOptions options;
        options.config = config;
        options.version = "1.2.3";
        Result<std::unique_ptr<Front>> started = Front::start(std::move(options));
        ASSERT_TRUE(started.ok()) << started.error().message;
        front = std::move(started).value();
        if (attach) front->attach(engine, server::testing::tiny_model());
    }
    std::string refusal() {
        FrontOptions options;
        options.config = config;
        const Result<std::unique_ptr<Front>> started = Front::start(std::move(options));
        EXPECT_FALSE(started.ok());
        if (started.ok()) return "";
        EXPECT_EQ(started.error().code, Code::kConfig);
        return started.error().message;
    }
    net::HttpResponse send(const std::string& method, const std::string& url, std::string body = "",
                           const std::string& key = "") {
        net::ClientRequest request;
        request.method = method;
        request.url = url;
        request.body = std::move(body);
        if (!request.body.empty()) request.headers.add("Content-Type", "application/json");
        if (!key.empty()) request.headers.add("Authorization", "Bearer " + key);
        request.timeout = std::chrono::milliseconds(10'000);
        Result<net::HttpResponse> answer = client->send(std::move(request));
        if (answer.ok()) return std::move(answer).value();
        net::HttpResponse none;
        none.status = 0;
        none.body = answer.error().message;
        return none;
    }
    net::HttpResponse get(const std::string& path, const std::string& key = "") {
        return send("GET", front->url() + path, "", key);
    }

    std::string key_file = ::testing::TempDir() + "front_test_" + std::to_string(getpid());
    config::ServeConfig config;
    server::testing::FakeEngine engine;
    std::unique_ptr<net::Client> client;
    std::unique_ptr<Front> front;
};

TEST_F(FrontTest, AnswersWhileTheModelLoadsAndAfter) {
    open(false);
    EXPECT_EQ(get("/livez").status, 200);
    EXPECT_EQ(get("/health").status, 503);
    EXPECT_NE(get("/health").body.find("loading"), std::string::npos);
    EXPECT_EQ(get("/v1/models").status, 503);
    EXPECT_EQ(send("GET", front->admin_url() + "/metrics").status, 200);
    front->attach(engine, server::testing::tiny_model());
    EXPECT_EQ(get("/health").status, 200);
    EXPECT_EQ(get("/readyz").status, 200);
    EXPECT_EQ(get("/health_generate").status, 200);
    EXPECT_NE(get("/v1/models").body.find("\"tiny\""), std::string::npos);
    EXPECT_NE(get("/version").body.find("1.2.3"), std::string::npos);
    const net::HttpResponse answer = send("POST", front->url() + "/v1/completions",
                                          R"({"model":"tiny","prompt":"hello","max_tokens":2})");
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_NE(answer.body.find("\"text\":\"ok\""), std::string::npos) << answer.body;
    EXPECT_NE(answer.headers.find("x-request-id"), nullptr);
    engine.engine_stats.is_ready = false;
    engine.engine_stats.not_ready = "stalled";
    EXPECT_EQ(get("/health").status, 503);
    EXPECT_EQ(get("/health_generate").status, 503);
    EXPECT_EQ(get("/livez").status, 200);
}

TEST_F(FrontTest, EveryRouteButThePublicOnesWantsAKey) {
    write_keys(std::string(kKey) + "\n");
    open();
    const std::set<std::string> listed = {"/livez", "/health", "/readyz", "/health_generate",
                                          "/ping"};
    std::set<std::string> open_routes;
    for (const Route& route : front->routes().routes()) {
        if (route.access == Access::kAdmin) {
            EXPECT_EQ(send(route.method, front->url() + route.path, "", kKey).status, 404);
            continue;
        }
        std::string path = route.path;
        if (const size_t brace = path.find('{'); brace != std::string::npos) {
            path = path.substr(0, brace) + "x";
        }
        const int status =
            send(route.method, front->url() + path, route.method == "POST" ? "{}" : "").status;
        if (status != 401) open_routes.insert(route.path);
        const int with_key =
            send(route.method, front->url() + path, route.method == "POST" ? "{}" : "", kKey)
                .status;
        EXPECT_NE(with_key, 401) << path;
        EXPECT_NE(with_key, 0) << path;
    }
    EXPECT_EQ(open_routes, listed);
    EXPECT_GE(front->routes().routes().size(), 20u);
    const std::string dump = routes_json(front->routes());
    EXPECT_NE(dump.find(R"({"method":"GET","path":"/metrics","access":"admin")"),
              std::string::npos);
}

TEST_F(FrontTest, DescribesItselfInJson) {
    open();
    const net::HttpResponse answer = get("/openapi.json");
    ASSERT_EQ(answer.status, 200);
    config::Limits wide;
    JsonBody body;
    const auto error = JsonBody::parse(answer.body, wide, body);
    ASSERT_FALSE(error) << error->message;
    const server::testing::Json json(answer.body);
    EXPECT_EQ(json.text("openapi"), "3.1.0");
    for (const Route& route : front->routes().routes()) {
        const bool is_there = body.root().find("paths")->find(route.path).has_value();
        EXPECT_EQ(is_there, route.access != Access::kAdmin) << route.path;
    }
    // Every reference leads somewhere.
    for (size_t at = 0;
         (at = answer.body.find("#/components/schemas/", at)) != std::string::npos;) {
        at += 21;
        const std::string name = answer.body.substr(at, answer.body.find('"', at) - at);
        EXPECT_TRUE(json.find("components.schemas." + name)) << name;
    }
}

TEST_F(FrontTest, TheSecondListenerHasMetricsAndAdministration) {
    open();
    EXPECT_EQ(send("POST", front->admin_url() + "/flush_cache").status, 200);
    EXPECT_EQ(engine.flushes, 1);
    EXPECT_EQ(send("GET", front->admin_url() + "/v1/models").status, 404);
    EXPECT_EQ(send("GET", front->admin_url() + "/health").status, 200);
    send("POST", front->url() + "/v1/completions", R"({"prompt":"hello","max_tokens":2})");
    const net::HttpResponse metrics = send("GET", front->admin_url() + "/metrics");
    EXPECT_EQ(metrics.status, 200);
    EXPECT_NE(metrics.body.find("tenon_time_to_first_token_seconds_count 1"), std::string::npos);
    EXPECT_NE(metrics.body.find("tenon_connections "), std::string::npos);
}

TEST_F(FrontTest, DrainsInTwoSteps) {
    open();
    server::testing::FakeEngine& fake = engine;
    fake.on_submit = [](server::testing::FakeEngine& self, size_t index) { self.schedule(index); };
    net::HttpResponse running;
    std::thread caller([&] {
        running =
            send("POST", front->url() + "/v1/completions", R"({"prompt":"a","max_tokens":2})");
    });
    for (int i = 0; i < 500 && front->is_idle(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    for (int i = 0; i < 500 && fake.sequences.empty(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    front->announce_drain();
    EXPECT_EQ(get("/readyz").status, 503);
    EXPECT_EQ(get("/livez").status, 200);
    EXPECT_EQ(get("/v1/models").status, 200);  // still accepted
    front->refuse_new();
    EXPECT_FALSE(front->is_idle());
    // A new connection is refused; one that was open is told.
    const net::HttpResponse late =
        send("POST", front->url() + "/v1/completions", R"({"prompt":"a","max_tokens":2})");
    EXPECT_TRUE(late.status == 0 || late.status == 503) << late.status;
    ASSERT_FALSE(fake.sequences.empty());
    fake.finish(0);
    caller.join();
    EXPECT_EQ(running.status, 200) << running.body;
    for (int i = 0; i < 500 && !front->is_idle(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(front->is_idle());
}

TEST_F(FrontTest, ReloadsKeysAndKeepsTheOldOnesOnError) {
    write_keys(std::string(kKey) + "\n");
    open();
    EXPECT_EQ(get("/v1/models", kKey).status, 200);
    write_keys("short\n");
    EXPECT_FALSE(front->reload());
    EXPECT_EQ(get("/v1/models", kKey).status, 200);
    write_keys("sk-bob-0123456789\n");
    EXPECT_TRUE(front->reload());
    EXPECT_EQ(get("/v1/models", kKey).status, 401);
    EXPECT_EQ(get("/v1/models", "sk-bob-0123456789").status, 200);
    const std::string metrics = send("GET", front->admin_url() + "/metrics").body;
    EXPECT_NE(metrics.find("tenon_reloads_total{what=\"keys\",result=\"failed\"} 1"),
              std::string::npos);
}

TEST_F(FrontTest, StartIsRefusedWithASentence) {
    open();
    config.port = front->port();
    EXPECT_NE(refusal().find(std::to_string(config.port)), std::string::npos);
    config.port = 0;
    config.host = "0.0.0.0";
    EXPECT_NE(refusal().find("there are no keys"), std::string::npos);
    config.host = "127.0.0.1";
    config.auth = "keys";
    config.api_key_file = key_file + ".absent";
    EXPECT_NE(refusal().find("No such file"), std::string::npos);
    config.auth = "auto";
    config.api_key_file.clear();
    config.trusted_proxies = {"not a network"};
    EXPECT_NE(refusal().find("not a network"), std::string::npos);
    config.trusted_proxies.clear();
    config.tls.certificate_file = config.tls.key_file = key_file + ".absent";
    EXPECT_FALSE(refusal().empty());
}

TEST_F(FrontTest, APageThatLuredABrowserHereDoesNotGetIn) {
    open();
    // By hand: the client writes its own Host.
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(front->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::string text = "GET /health HTTP/1.1\r\nHost: evil.example.org\r\n\r\n";
    ASSERT_EQ(::send(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    char answer[512] = "";
    const ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
    close(fd);
    ASSERT_GT(n, 12);
    EXPECT_EQ(std::string(answer, 12), "HTTP/1.1 421");
}

}  // namespace
}  // namespace tenon::server
