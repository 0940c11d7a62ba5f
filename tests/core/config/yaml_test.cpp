#include "core/config/yaml.h"

#include <gtest/gtest.h>

namespace tenon::config {
namespace {

std::string refusal(std::string_view text) {
    EngineConfig config;
    const Status status = read_yaml(text, "t.yaml", config);
    EXPECT_FALSE(status.ok()) << text;
    return status.ok() ? "" : status.error().message;
}

TEST(Yaml, FillsTheFieldsThatItNames) {
    EngineConfig config;
    const Status status = read_yaml(
        "threads: 2\ncompute: precise\nplugin_dirs: [a, b]\n"
        "plugins:\n  cpu: {force_isa: avx2, spin_us: 10}\n",
        "t.yaml", config);
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(config.threads, 2u);
    EXPECT_EQ(config.compute, "precise");
    EXPECT_EQ(config.plugin_dirs, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(config.plugins["cpu"]["force_isa"], "avx2");
    EXPECT_EQ(config.context_length, EngineConfig().context_length);
}

TEST(Yaml, ReportsEveryMistakeAtItsPlace) {
    EXPECT_EQ(refusal("threds: 2\ncompute: quick\nthreads: -1\n"),
              "t.yaml:1:1: 'threds' is not an option; did you mean 'threads'?\n"
              "    threds: 2\n"
              "    ^\n"
              "t.yaml:2:10: compute: expected one of fast, precise, got 'quick'\n"
              "    compute: quick\n"
              "             ^\n"
              "t.yaml:3:10: threads: expected a whole number from 0 to 1024, got '-1'\n"
              "    threads: -1\n"
              "             ^");
}

TEST(Yaml, RefusesDuplicatesWrongTypesAndOctal) {
    EXPECT_NE(
        refusal("threads: 1\nthreads: 2\n").find("t.yaml:2:1: 'threads' stands here a second time"),
        std::string::npos);
    EXPECT_NE(refusal("threads: [1]\n").find("threads: expected one value"), std::string::npos);
    EXPECT_NE(refusal("threads: 010\n").find("got '010'"), std::string::npos);
    EXPECT_NE(refusal("- a\n").find("expected a map of options"), std::string::npos);
    EXPECT_NE(refusal("deterministic: yes\n").find("expected true or false"), std::string::npos);
    EXPECT_NE(refusal("a: b: c\n").find("t.yaml:1:"), std::string::npos);
    EXPECT_NE(refusal("\tthreads: 1\n").find("not YAML"), std::string::npos);
}

TEST(Yaml, MistakesOfPluginOptionsStandAtTheirPlaces) {
    const std::string text =
        "plugins:\n  cpu: {pin: yes, spin: 1}\n  nosuch:\n    a: 1\nthreds: 2\n";
    EngineConfig config;
    const PluginCheck check = [](const EngineConfig& read) {
        EXPECT_EQ(read.plugins.at("cpu").at("pin"), "yes");
        return std::vector<PluginMistake>{{"nosuch", "", false, "no plugin"},
                                          {"cpu", "spin", false, "no option"},
                                          {"cpu", "pin", true, "no value"},
                                          {"", "", false, "no folder"}};
    };
    std::string seen;
    for (const Mistake& mistake : find_mistakes(text, "t.yaml", config, nullptr, check))
        seen += mistake.to_text("t.yaml") + "\n";
    EXPECT_EQ(
        seen,
        "t.yaml:1:1: no folder\n    plugins:\n    ^\n"
        "t.yaml:2:14: no value\n      cpu: {pin: yes, spin: 1}\n                 ^\n"
        "t.yaml:2:19: no option\n      cpu: {pin: yes, spin: 1}\n                      ^\n"
        "t.yaml:3:3: no plugin\n      nosuch:\n      ^\n"
        "t.yaml:5:1: 'threds' is not an option; did you mean 'threads'?\n    threds: 2\n    ^\n");
    EXPECT_TRUE(config.plugins.empty());
    EXPECT_TRUE(find_mistakes("plugins: {cpu: {pin: yes}}\n", "t.yaml", config).empty());
}

TEST(Yaml, StopsAtTheLimits) {
    std::string deep;
    for (int i = 0; i < 40; ++i)
        deep += "[";
    EXPECT_NE(refusal("plugin_dirs: " + deep).find("more than 32 levels of nesting"),
              std::string::npos);
    std::string bomb = "a: &a [x]\nb: [";
    for (int i = 0; i < 200; ++i)
        bomb += "*a,";
    EXPECT_NE(refusal(bomb + "]\n").find("more than 100 aliases"), std::string::npos);
    EXPECT_NE(refusal(std::string((1 << 20) + 1, ' ')).find("at most 1048576"), std::string::npos);
}

TEST(Yaml, LeavesTheConfigAloneOnError) {
    EngineConfig config;
    ASSERT_FALSE(read_yaml("threads: 3\nnope: 1\n", "t", config).ok());
    EXPECT_EQ(config.threads, 0u);
}

TEST(SetField, TakesOneFieldOrAPluginsOption) {
    EngineConfig config;
    ASSERT_TRUE(set_field(config, "threads", "4", "--set").ok());
    ASSERT_TRUE(set_field(config, "cpu.force_isa", "scalar", "--set").ok());
    EXPECT_EQ(config.threads, 4u);
    EXPECT_EQ(config.plugins["cpu"]["force_isa"], "scalar");
    EXPECT_EQ(set_field(config, "thread", "4", "--set").error().message,
              "--set: 'thread' is not an option; did you mean 'threads'?");
}

}  // namespace
}  // namespace tenon::config
