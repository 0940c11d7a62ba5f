#include "core/server/dispatcher.h"

#include "core/base/log.h"
#include "core/server/metrics.h"
#include "tests/core/server/fake_exchange.h"
#include "tests/core/server/rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>

#include <sys/stat.h>
#include <unistd.h>

namespace tenon::server {
namespace {

constexpr const char* kKey = "sk-alice-0123456789";

class DispatcherTest : public ::testing::Test {
protected:
    DispatcherTest() {
        const auto answer = [this](std::shared_ptr<RequestContext> context) {
            seen = context->caller;
            seen_id = context->request_id;
            seen_trace = context->traceparent;
            seen_name = context->name;
            ran = context->route;
            context->respond_json("{}");
        };
        table.add({"GET", "/open", Access::kPublic, false, false, "", answer});
        table.add({"GET", "/v1/things", Access::kKey, false, false, "", answer});
        table.add({"POST", "/v1/things", Access::kKey, true, true, "", answer});
        table.add({"GET", "/v1/things/{thing}", Access::kKey, false, false, "", answer});
        table.add({"GET", "/secret", Access::kAdmin, false, false, "", answer});
        table.add({"POST", "/v1/messages", Access::kKey, false, true, "", answer});
        service.is_loaded = true;
        service.limits.failed_auth_per_minute = 3;
        service.limits.unauthenticated_per_ip = 2;
        {
            std::ofstream(key_file) << "alice:" << kKey << " priority=4\n";
            chmod(key_file.c_str(), 0600);
        }
        keys = std::move(KeyRing::open(key_file)).value();
        options.sinks.metrics = &metrics;
        options.is_proxy = [](const net::Address& address) { return address == "10.9.9.9"; };
    }
    ~DispatcherTest() override { std::remove(key_file.c_str()); }

    void open(bool with_keys = true) {
        dispatcher =
            std::make_unique<Dispatcher>(table, service, with_keys ? keys.get() : nullptr, options);
    }
    // The decision about a head; the route runs when there is no refusal.
    net::HeadDecision send(const std::string& method, const std::string& path,
                           std::vector<net::Header> headers = {},
                           const std::string& client = "10.0.0.1") {
        exchange = std::make_shared<server::testing::FakeExchange>(method, path);
        exchange->edit().client = client;
        for (const net::Header& header : headers)
            exchange->edit().headers.add(header.name, header.value);
        ran = nullptr;
        net::HeadDecision decision = dispatcher->on_head(exchange->request());
        if (!decision.refusal) dispatcher->on_request(exchange, decision.context);
        return decision;
    }
    int status(const std::string& method, const std::string& path,
               std::vector<net::Header> headers = {}, const std::string& client = "10.0.0.1") {
        const net::HeadDecision decision = send(method, path, std::move(headers), client);
        if (decision.refusal) {
            refusal = *decision.refusal;
            return decision.refusal->status;
        }
        return exchange->status();
    }
    static std::vector<net::Header> bearer(const std::string& key) {
        return {{"Authorization", "Bearer " + key}};
    }

    std::string key_file = ::testing::TempDir() + "dispatcher_test_" + std::to_string(getpid());
    RouteTable table;
    Service service;
    Metrics metrics{{"1.2.3"}};
    std::unique_ptr<KeyRing> keys;
    DispatcherOptions options;
    std::unique_ptr<Dispatcher> dispatcher;
    std::shared_ptr<server::testing::FakeExchange> exchange;
    net::HttpResponse refusal;
    Caller seen;
    std::string seen_id, seen_trace, seen_name;
    const Route* ran = nullptr;
};

TEST_F(DispatcherTest, AsksForAKeyUnlessTheRouteIsPublic) {
    open();
    EXPECT_EQ(status("GET", "/open"), 200);
    EXPECT_EQ(status("GET", "/v1/things"), 401);
    EXPECT_NE(refusal.body.find("missing_api_key"), std::string::npos);
    EXPECT_EQ(*refusal.headers.find("WWW-Authenticate"), "Bearer");
    EXPECT_EQ(status("GET", "/v1/things", bearer("sk-wrong-0123456789")), 401);
    EXPECT_NE(refusal.body.find("invalid_api_key"), std::string::npos);
    EXPECT_EQ(status("GET", "/v1/things", bearer(kKey)), 200);
    EXPECT_EQ(seen.priority, 4);
    EXPECT_EQ(seen.key_number, 1u);
    EXPECT_EQ(status("GET", "/v1/things", {{"x-api-key", kKey}}), 200);
    EXPECT_EQ(status("GET", "/v1/things", {{"authorization", std::string("bEaReR ") + kKey}}), 200);
    EXPECT_EQ(status("GET", "/v1/things", {{"Authorization", std::string("Basic ") + kKey}}), 401);
    EXPECT_EQ(status("GET", "/v1/things",
                     {{"Authorization", std::string("Bearer ") + kKey},
                      {"x-api-key", "sk-other-0123456789"}},
                     "10.0.0.2"),
              401);
}

TEST_F(DispatcherTest, WithoutKeysWhatIsSentAsOneIsIgnored) {
    open(false);
    EXPECT_EQ(status("GET", "/v1/things"), 200);
    EXPECT_EQ(status("GET", "/v1/things", bearer("EMPTY")), 200);
    EXPECT_EQ(status("GET", "/v1/things", {{"Authorization", "None"}}), 200);
    EXPECT_EQ(seen.key_id, "");
    EXPECT_EQ(seen.cache_scope, "");
}

TEST_F(DispatcherTest, TheRouteThatWasAuthorisedIsTheOneThatRuns) {
    open();
    EXPECT_EQ(status("GET", "/v1/things/a/b", bearer(kKey)), 200);
    EXPECT_EQ(ran, &table.routes()[3]);
    EXPECT_EQ(seen_name, "a/b");
    for (const char* other : {"/open/", "/OPEN", "/open/../v1/things", "/v1//things", "/open%2f",
                              "/", "", "*", "/v1/things/"}) {
        const int code = status("GET", other);
        EXPECT_TRUE(code == 404 || code == 401) << other << " " << code;
        EXPECT_EQ(ran, nullptr) << other;
    }
}

TEST_F(DispatcherTest, SaysWhichMethodsAPathTakes) {
    open();
    EXPECT_EQ(status("DELETE", "/v1/things"), 405);
    EXPECT_EQ(*refusal.headers.find("Allow"), "GET, HEAD, POST");
    EXPECT_EQ(status("HEAD", "/v1/things", bearer(kKey)), 200);
    EXPECT_EQ(status("HEAD", "/v1/things"), 401);
    EXPECT_EQ(status("GET", "/nothing"), 404);
    EXPECT_EQ(status("OPTIONS", "/v1/things"), 204);
    EXPECT_EQ(refusal.headers.find("Access-Control-Allow-Origin"), nullptr);
}

TEST_F(DispatcherTest, TheListenersServeDifferentRoutes) {
    open();
    EXPECT_EQ(status("GET", "/secret", bearer(kKey)), 404);
    options.listener = Listener::kAdmin;
    open();
    EXPECT_EQ(status("GET", "/secret"), 200);
    EXPECT_EQ(status("GET", "/open"), 200);
    EXPECT_EQ(status("GET", "/v1/things", bearer(kKey)), 404);
    options.admin_needs_key = true;
    open();
    EXPECT_EQ(status("GET", "/secret"), 401);
    EXPECT_EQ(status("GET", "/secret", bearer(kKey)), 200);
}

TEST_F(DispatcherTest, OnlyListedOriginsMayRead) {
    options.cors_origins = {"https://chat.example.org"};
    open();
    const net::Header listed{"Origin", "https://chat.example.org"};
    const net::Header other{"Origin", "https://evil.example.org"};
    EXPECT_EQ(status("GET", "/open", {listed}), 200);
    EXPECT_EQ(*exchange->headers().find("Access-Control-Allow-Origin"), listed.value);
    EXPECT_EQ(*exchange->headers().find("Vary"), "Origin");
    EXPECT_EQ(status("GET", "/open", {other}), 200);
    EXPECT_EQ(exchange->headers().find("Access-Control-Allow-Origin"), nullptr);
    // Refusals can be read too, by those who may.
    EXPECT_EQ(status("GET", "/v1/things", {listed}), 401);
    EXPECT_NE(refusal.headers.find("Access-Control-Allow-Origin"), nullptr);
    const std::vector<net::Header> preflight = {
        listed,
        {"Access-Control-Request-Method", "POST"},
        {"Access-Control-Request-Headers", "authorization, content-type"}};
    EXPECT_EQ(status("OPTIONS", "/v1/things", preflight), 204);
    EXPECT_EQ(*refusal.headers.find("Access-Control-Allow-Methods"), "GET, HEAD, POST");
    EXPECT_EQ(*refusal.headers.find("Access-Control-Allow-Headers"), "authorization, content-type");
}

TEST_F(DispatcherTest, IdsAreTakenWhenTheyAreHarmless) {
    open();
    status("GET", "/open", {{"x-request-id", "abc-1.2_X"}});
    EXPECT_EQ(seen_id, "abc-1.2_X");
    EXPECT_EQ(*exchange->headers().find("x-request-id"), "abc-1.2_X");
    for (const std::string& bad : {std::string("a b"), std::string("a\"b"), std::string(65, 'a'),
                                   std::string(), std::string("a\xc3\xa4")}) {
        status("GET", "/open", {{"x-request-id", bad}});
        EXPECT_NE(seen_id, bad);
        EXPECT_TRUE(seen_id.starts_with("req_"));
    }
    const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    status("GET", "/open", {{"traceparent", trace}});
    EXPECT_EQ(seen_trace, trace);
    EXPECT_EQ(*exchange->headers().find("traceparent"), trace);
    for (const char* bad : {"00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "garbage",
                            "00-00000000000000000000000000000000-00f067aa0ba902b7-01"}) {
        status("GET", "/open", {{"traceparent", bad}});
        EXPECT_EQ(seen_trace, "");
    }
}

TEST_F(DispatcherTest, WrongKeysAreSlowedDownAndRightOnesAreNot) {
    open();
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(status("GET", "/v1/things", bearer("sk-guess-0000000" + std::to_string(i))), 401);
    EXPECT_EQ(status("GET", "/v1/things", bearer("sk-guess-00000009")), 429);
    ASSERT_NE(refusal.headers.find("Retry-After"), nullptr);
    EXPECT_EQ(status("GET", "/v1/things", bearer(kKey)), 200);
    EXPECT_EQ(status("GET", "/v1/things", bearer("sk-guess-00000009"), "10.0.0.2"), 401);
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(status("GET", "/v1/things", bearer("sk-guess-00000009"), "10.9.9.9"), 401);
}

TEST_F(DispatcherTest, StrangersHaveFewPlacesAndGiveThemBack) {
    std::vector<std::shared_ptr<RequestContext>> held;
    table = RouteTable();
    table.add(
        {"GET", "/wait", Access::kPublic, false, false, "",
         [&](std::shared_ptr<RequestContext> context) { held.push_back(std::move(context)); }});
    open();
    const auto first = send("GET", "/wait");
    const auto second = send("GET", "/wait");
    EXPECT_FALSE(first.refusal || second.refusal);
    EXPECT_EQ(status("GET", "/wait"), 429);
    EXPECT_EQ(status("GET", "/wait", {}, "10.0.0.2"), 0);
    EXPECT_EQ(status("GET", "/wait", bearer(kKey)), 0);
    held.clear();
}

TEST_F(DispatcherTest, WhileLoadingOnlyPublicRoutesAnswer) {
    service.is_loaded = false;
    open();
    EXPECT_EQ(status("GET", "/open"), 200);
    EXPECT_EQ(status("GET", "/v1/things"), 401);
    EXPECT_EQ(status("GET", "/v1/things", bearer(kKey)), 503);
    EXPECT_NE(refusal.headers.find("Retry-After"), nullptr);
}

TEST_F(DispatcherTest, AFullQueueRefusesInferenceAlone) {
    testing::FakeAdmission admission;
    admission.early_refusal = ApiError{503, "server_error", "queue_full", "", "Full.", 3};
    service.admission = &admission;
    open();
    EXPECT_EQ(status("GET", "/v1/things", bearer(kKey)), 200);
    EXPECT_EQ(status("POST", "/v1/things"), 401) << "who asks comes first";
    EXPECT_EQ(status("POST", "/v1/things", bearer(kKey)), 503);
    EXPECT_EQ(*refusal.headers.find("Retry-After"), "3");
    EXPECT_EQ(ran, nullptr);
}

TEST_F(DispatcherTest, ErrorsHaveTheFormOfTheirApi) {
    open();
    EXPECT_EQ(status("POST", "/v1/messages"), 401);
    EXPECT_TRUE(refusal.body.starts_with("{\"type\":\"error\",\"error\":{")) << refusal.body;
    EXPECT_EQ(status("POST", "/v1/things"), 401);
    EXPECT_TRUE(refusal.body.starts_with("{\"error\":{\"message\":")) << refusal.body;
    const net::HttpResponse error = dispatcher->on_error(431, "Too many headers.");
    EXPECT_EQ(error.status, 431);
    EXPECT_NE(error.body.find("Too many headers."), std::string::npos);
}

TEST_F(DispatcherTest, EachRequestLeavesOneLineWithoutItsKey) {
    const std::string log_path = key_file + ".log";
    LogOptions log_options;
    log_options.file = log_path;
    log_options.json = true;
    auto log = std::move(Log::open(log_options)).value();
    options.sinks.log = log.get();
    open();
    const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    {
        net::HeadDecision decision =
            send("POST", "/v1/things", {{"x-api-key", kKey}, {"traceparent", trace}});
        net::Handler::Access access;
        access.request = &exchange->request();
        access.status = 200;
        access.bytes_sent = 99;
        access.ms = 12.5;
        access.context = decision.context;
        dispatcher->on_access(access);
    }
    dispatcher->on_access({});
    log->flush(1000);
    std::ifstream file(log_path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
    for (const char* part :
         {"\"path\":\"/v1/things\"", "\"status\":200", "\"key_id\":\"", "\"bytes\":99",
          "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"", "\"error\":\"not_read\""})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    EXPECT_EQ(text.find(kKey), std::string::npos);
    EXPECT_NE(metrics.render().find("tenon_requests_total{code=\"200\""), std::string::npos);
    std::remove(log_path.c_str());
}

TEST_F(DispatcherTest, ARequestRunsAgainstTheClockOfItsRoute) {
    service.timeouts.routes["/v1/things"] = {1'234};
    open();
    status("GET", "/open");
    EXPECT_EQ(exchange->deadline().count(), 2'000);
    EXPECT_EQ(exchange->expiry().response.status, 503);
    status("POST", "/v1/things", bearer(kKey));
    EXPECT_EQ(exchange->deadline().count(), 1'234);
    EXPECT_EQ(exchange->expiry().response.status, 504);
    EXPECT_NE(exchange->expiry().response.body.find("timeouts.routes[/v1/things]"),
              std::string::npos);
    status("POST", "/v1/messages", bearer(kKey));
    EXPECT_EQ(exchange->deadline().count(), 600'000);
}

}  // namespace
}  // namespace tenon::server
