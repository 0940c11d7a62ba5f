#include "core/config/serve_config.h"

#include "core/config/environment.h"
#include "core/config/yaml.h"

#include <gtest/gtest.h>

#include <map>

namespace tenon::config {
namespace {

std::string refusal(std::string_view text) {
    ServeConfig config;
    const Status status = read_yaml(text, "t.yaml", config);
    EXPECT_FALSE(status.ok()) << text;
    return status.ok() ? "" : status.error().message;
}

std::string broken_rule(std::string_view text) {
    ServeConfig config;
    const Status read = read_yaml(text, "t.yaml", config);
    EXPECT_TRUE(read.ok()) << read.error().message;
    const Status status = check(config);
    return status.ok() ? "" : status.error().message;
}

TEST(ServeConfig, ReadsNestedSectionsAndTheEnginesOwnFields) {
    ServeConfig config;
    const Status status = read_yaml(
        "model: smollm2-135m\nport: 8080\nthreads: 2\nserved_model_name: [a, b]\n"
        "tls: {certificate_file: c.pem, key_file: k.pem}\ncors:\n  origins: ['https://a.org']\n"
        "timeouts: {default: 30s, extended: 10m, routes: {/v1/models: 500ms}}\n"
        "metrics: {port: 9000, compat: [vllm]}\nlimits:\n  n: 4\n  queue_requests: 7\n"
        "plugins: {prefix: {age_weight: 64}}\n",
        "t.yaml", config);
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(config.port, 8080u);
    EXPECT_EQ(config.engine.threads, 2u);
    EXPECT_EQ(config.tls.key_file, "k.pem");
    EXPECT_EQ(config.cors.origins, (std::vector<std::string>{"https://a.org"}));
    EXPECT_EQ(config.timeouts.usual.ms, 30'000u);
    EXPECT_EQ(config.timeouts.extended.ms, 600'000u);
    EXPECT_EQ(config.timeouts.routes["/v1/models"].ms, 500u);
    EXPECT_EQ(config.metrics.compat, (std::vector<std::string>{"vllm"}));
    EXPECT_EQ(config.limits.n, 4u);
    EXPECT_EQ(config.limits.queue_requests, 7u);
    EXPECT_EQ(config.engine.plugins["prefix"]["age_weight"], "64");
    ASSERT_TRUE(read_yaml("tls: offloaded\n", "t.yaml", config).ok());
    EXPECT_EQ(config.tls.mode, "offloaded");
}

TEST(ServeConfig, ReportsNestedMistakesAtTheirPlace) {
    EXPECT_EQ(refusal("port: 1\nlimits:\n  queue_requets: 3\n  n: -1\n"),
              "t.yaml:3:3: 'queue_requets' is not an option; did you mean 'queue_requests'?\n"
              "      queue_requets: 3\n"
              "      ^\n"
              "t.yaml:4:6: limits.n: expected a whole number from 1 to 128 answers, got '-1'\n"
              "      n: -1\n"
              "         ^");
    EXPECT_NE(refusal("limits: 3\n").find("t.yaml:1:9: limits: expected a map of options"),
              std::string::npos);
    EXPECT_NE(refusal("tls: offlaoded\n").find("tls: expected one of auto, offloaded"),
              std::string::npos);
    EXPECT_NE(refusal("limits: {n: 1, n: 2}\n").find("'n' stands here a second time"),
              std::string::npos);
    EXPECT_NE(refusal("timeouts: {default: 90}\n").find("timeouts.default: expected a time"),
              std::string::npos);
    EXPECT_NE(refusal("timeouts: {routes: {/a: 0s}}\n").find("timeouts.routes./a: expected a time"),
              std::string::npos);
    EXPECT_NE(refusal("metrics: {compat: [nagios]}\n").find("expected one of vllm, sglang"),
              std::string::npos);
    EXPECT_NE(refusal("mem_fraction_static: nan\n").find("a number from 0 to 1"),
              std::string::npos);
    EXPECT_NE(refusal("limits: {n: 0}\n").find("from 1 to 128"), std::string::npos);
}

TEST(ServeConfig, TakesFlagsAndVariablesByTheirDottedName) {
    ServeConfig config;
    ASSERT_TRUE(set_field(config, "limits.n", "3", "--set").ok());
    ASSERT_TRUE(set_field(config, "tls", "offloaded", "--set").ok());
    ASSERT_TRUE(set_field(config, "cpu.force_isa", "scalar", "--set").ok());
    EXPECT_EQ(config.limits.n, 3u);
    EXPECT_EQ(config.tls.mode, "offloaded");
    EXPECT_EQ(config.engine.plugins["cpu"]["force_isa"], "scalar");
    EXPECT_EQ(set_field(config, "limits.nn", "3", "--set").error().message.substr(0, 50),
              "--set: limits.nn: 'nn' is not an option; did you m");
    const std::map<std::string, std::string> variables = {{"TENON_PORT", "4000"},
                                                          {"TENON_LIMITS_N", "5"},
                                                          {"TENON_TLS", "auto"},
                                                          {"TENON_THREADS", "7"}};
    const Status status = read_environment(config, [&](const char* name) -> const char* {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
    });
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(config.port, 4000u);
    EXPECT_EQ(config.limits.n, 5u);
    EXPECT_EQ(config.tls.mode, "auto");
    EXPECT_EQ(config.engine.threads, 7u);
}

TEST(ServeConfig, PrintsWhatItReadsBack) {
    ServeConfig config;
    config.served_model_name = {"a b", "c\"d\\\n"};
    config.timeouts.routes["/v1/*"] = {1'500};
    config.engine.plugins["prefix"]["age_weight"] = "64";
    config.limits.n = 77;
    const std::string text = to_yaml(config);
    ServeConfig back;
    const Status status = read_yaml(text, "t.yaml", back);
    ASSERT_TRUE(status.ok()) << status.error().message << text;
    EXPECT_EQ(to_yaml(back), text);
    EXPECT_EQ(back.served_model_name, config.served_model_name);
    EXPECT_EQ(back.limits.n, 77u);
    // Every limit stands there.
    Limits limits;
    visit_fields(limits, [&](const char* name, auto&, const Constraint&, const char*) {
        EXPECT_NE(text.find(std::string("\n  ") + name + ": "), std::string::npos) << name;
    });
}

TEST(ServeConfig, RefusesToServeStrangersByAccident) {
    EXPECT_EQ(broken_rule("{}"), "");
    EXPECT_NE(broken_rule("host: 0.0.0.0\n").find("there are no keys"), std::string::npos);
    EXPECT_NE(broken_rule("host: 0.0.0.0\n").find("there is no TLS"), std::string::npos);
    EXPECT_EQ(broken_rule("host: 0.0.0.0\nauth: none\ntls: offloaded\n"), "");
    EXPECT_EQ(broken_rule("host: '::'\napi_key_file: k\n"
                          "tls: {certificate_file: c, key_file: k}\n"),
              "");
    EXPECT_NE(broken_rule("auth: keys\n").find("needs an api_key_file"), std::string::npos);
    EXPECT_NE(broken_rule("auth: none\napi_key_file: k\n").find("exclude"), std::string::npos);
    EXPECT_NE(broken_rule("metrics: {host: 0.0.0.0}\n").find("metrics.host"), std::string::npos);
    EXPECT_NE(broken_rule("api_key_file: k\ncors: {origins: ['*']}\n").find("'*'"),
              std::string::npos);
    EXPECT_NE(broken_rule("cors: {origins: ['a.org/x']}\n").find("cors.origins"),
              std::string::npos);
    EXPECT_NE(broken_rule("limits: {stream_low_bytes: 300000}\n").find("stream_low_bytes"),
              std::string::npos);
    EXPECT_NE(broken_rule("tls: {key_file: k}\n").find("are needed both"), std::string::npos);
}

TEST(ServeConfig, KnowsWhatOnlyThisMachineReaches) {
    for (const char* host : {"127.0.0.1", "127.8.8.8", "::1", "localhost", "unix:/run/t.sock"})
        EXPECT_TRUE(is_loopback(host)) << host;
    for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "127.evil.example", "localhost.evil"})
        EXPECT_FALSE(is_loopback(host)) << host;
}

}  // namespace
}  // namespace tenon::config
