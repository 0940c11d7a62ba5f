#include "core/server/metrics.h"

#include "core/server/metered_engine.h"
#include "tests/core/server/fake_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <unistd.h>

namespace tenon::server {
namespace {

class MetricsTest : public ::testing::Test {
protected:
    void connect(Metrics& metrics) {
        engine.engine_info->model_name = "tiny";
        engine.engine_info->block_tokens = 16;
        engine.engine_stats.running = 3;
        engine.engine_stats.blocks_free = 6;
        engine.engine_stats.blocks_cached = 2;
        engine.engine_stats.blocks_used = 2;
        engine.engine_stats.prompt_tokens = 100;
        engine.engine_stats.cached_tokens = 25;
        engine.engine_stats.busy_ratio = 0.5;
        MetricSources sources;
        sources.engine = [this] { return std::optional(engine.stats()); };
        sources.info = [this] { return engine.info(); };
        sources.devices = [this] { return devices; };
        sources.log_dropped = [] { return uint64_t{7}; };
        sources.certificate_expires_in = [] { return std::optional<int64_t>(86'400); };
        metrics.set_sources(std::move(sources));
    }
    server::testing::FakeEngine engine;
    std::vector<DeviceUse> devices;
};

bool has(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

// promtool's verdict; nothing where it is not installed.
std::optional<int> lint(const std::string& text, std::string& said) {
    if (std::system("command -v promtool >/dev/null 2>&1") != 0) return std::nullopt;
    const std::string path = ::testing::TempDir() + "metrics_test_" + std::to_string(getpid());
    std::ofstream(path) << text;
    FILE* pipe = popen(("promtool check metrics < " + path + " 2>&1").c_str(), "r");
    char line[512];
    while (fgets(line, sizeof line, pipe) != nullptr)
        said += line;
    const int code = pclose(pipe);
    std::remove(path.c_str());
    return code;
}

TEST_F(MetricsTest, ShowsTheEngineAndTheServer) {
    Metrics metrics({"1.2.3"});
    connect(metrics);
    const Route chat{"POST", "/v1/chat/completions", Access::kKey, true, true, "", {}};
    metrics.on_request({&chat, 200, 4.9, "stop", "", ""});
    metrics.on_request({&chat, 200, 5.1, "length", "", "client_gone"});
    metrics.on_request({nullptr, 404, 0.1, "", "not_found", ""});
    metrics.on_rejected("queue_requests");
    metrics.on_reload("keys", false);
    metrics.on_auth_failure();
    const std::string text = metrics.render();
    for (const char* line : {
             "tenon_requests_running 3",
             "tenon_kv_cache_usage_ratio 0.2",
             "tenon_kv_cache_blocks{state=\"cached\"} 2",
             "tenon_prefix_cache_queries_total 100",
             "tenon_prefix_cache_hits_total 25",
             "tenon_device_utilization_ratio{device=\"0\",source=\"engine\"} 0.5",
             "tenon_requests_total{code=\"200\",finish_reason=\"stop\"} 1",
             "tenon_http_requests_total{route=\"none\",code=\"404\"} 1",
             "tenon_admission_rejected_total{reason=\"queue_requests\"} 1",
             "tenon_cancelled_total{where=\"client_gone\"} 1",
             "tenon_reloads_total{what=\"keys\",result=\"failed\"} 1",
             "tenon_auth_failures_total 1",
             "tenon_log_dropped_total 7",
             "tenon_certificate_expiry_seconds 86400",
             // The alarm on five seconds needs this edge.
             "tenon_e2e_request_latency_seconds_bucket{le=\"5\"} 1",
             "tenon_e2e_request_latency_seconds_count 2",
             "tenon_time_to_first_token_seconds_bucket{le=\"5\"} 0",
             "tenon_build_info{version=\"1.2.3\"} 1",
         })
        EXPECT_TRUE(has(text, line)) << line << "\n" << text;
}

TEST_F(MetricsTest, PromtoolFindsNothing) {
    Metrics metrics({"1.2.3"});
    connect(metrics);
    const Route chat{"POST", "/v1/chat/completions", Access::kKey, true, true, "", {}};
    metrics.on_request({&chat, 200, 1, "stop", "", "client_gone"});
    metrics.on_rejected("memory");
    metrics.on_reload("tls", true);
    metrics.on_startup(1, 0.5);
    devices = {{"gpu", 0.7, 10, 20}};
    std::string said;
    const std::optional<int> code = lint(metrics.render(), said);
    if (!code) GTEST_SKIP() << "promtool is not installed";
    EXPECT_EQ(*code, 0) << said;
    EXPECT_EQ(said, "");
}

TEST_F(MetricsTest, SpeaksTheNamesOfOthersWhenAsked) {
    Metrics plain({"1"});
    connect(plain);
    EXPECT_EQ(plain.render().find("vllm:"), std::string::npos);
    Metrics metrics({"1", true, true});
    connect(metrics);
    const Route chat{"POST", "/v1/chat/completions", Access::kKey, true, true, "", {}};
    metrics.on_request({&chat, 200, 1, "stop", "", ""});
    const std::string text = metrics.render();
    for (const char* line : {
             "vllm:num_requests_running{model_name=\"tiny\"} 3",
             "vllm:kv_cache_usage_perc{model_name=\"tiny\"} 0.2",
             "vllm:prefix_cache_hits_total{model_name=\"tiny\"} 25",
             "vllm:request_success_total{finished_reason=\"stop\",model_name=\"tiny\"} 1",
             "sglang:num_running_reqs{model_name=\"tiny\"} 3",
             "sglang:kv_available_tokens{model_name=\"tiny\"} 96",
             "sglang:cache_hit_rate{model_name=\"tiny\"} 0.25",
             "sglang:num_requests_total{model_name=\"tiny\"} 1",
         })
        EXPECT_TRUE(has(text, line)) << line << "\n" << text;
}

TEST_F(MetricsTest, OddRequestsMakeFewSeries) {
    Metrics metrics({"1"});
    connect(metrics);
    for (int i = 0; i < 100'000; ++i)
        metrics.on_request({nullptr, 400 + i % 30, 0.1, "", "code" + std::to_string(i), ""});
    const std::string text = metrics.render();
    EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 1'000);
}

TEST_F(MetricsTest, DevicesComeFromTheirDriverWhereThereIsOne) {
    Metrics metrics({"1"});
    connect(metrics);
    devices = {{"gpu", 0.7, 10, 20}};
    const std::string text = metrics.render();
    EXPECT_TRUE(has(text, "tenon_device_memory_bytes{device=\"0\",kind=\"used\"} 10"));
    EXPECT_NE(text.find("source=\"nvml\""), std::string::npos);
    EXPECT_EQ(text.find("source=\"engine\""), std::string::npos);
}

TEST_F(MetricsTest, AWatchedEngineTellsWhatItsSequencesWaitFor) {
    class Sink : public engine::OutputSink {
    public:
        void on_delta(engine::OutputDelta&& delta) override { tokens += delta.tokens.size(); }
        bool on_engine_lost() override { return true; }
        size_t tokens = 0;
    };
    Metrics metrics({"1"});
    MeteredEngine watched(engine, metrics);
    const auto sink = std::make_shared<Sink>();
    watched.submit({}, sink);
    engine.schedule(0);
    engine.say(0, "a", {{1, 0, {}}});
    engine.say(0, "bc", {{2, 0, {}}, {3, 0, {}}});
    EXPECT_TRUE(engine.sequences[0].sink->on_engine_lost());
    engine.finish(0);
    EXPECT_EQ(sink->tokens, 3u);
    const std::string text = metrics.render();
    EXPECT_TRUE(has(text, "tenon_time_to_first_token_seconds_count 1")) << text;
    EXPECT_TRUE(has(text, "tenon_inter_token_latency_seconds_count 2"));
    EXPECT_TRUE(has(text, "tenon_request_queue_time_seconds_count 1"));
}

TEST_F(MetricsTest, ScrapesAndRequestsMayMeet) {
    Metrics metrics({"1"});
    connect(metrics);
    const Route chat{"POST", "/v1/chat/completions", Access::kKey, true, true, "", {}};
    std::thread writer([&] {
        for (int i = 0; i < 2'000; ++i) {
            metrics.on_request({&chat, 200 + i % 5, 0.1, "stop", "", ""});
            metrics.observe_gap(0.01);
        }
    });
    for (int i = 0; i < 20; ++i)
        EXPECT_FALSE(metrics.render().empty());
    writer.join();
}

}  // namespace
}  // namespace tenon::server
