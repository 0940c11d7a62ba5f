#include "core/engine/device.h"

#include "tests/core/engine/tiny.h"

namespace tenon::engine {
namespace {

Error error_of(const config::EngineConfig& config) {
    const Result<OpenedDevice> opened = open_device(config);
    return opened.ok() ? Error{Code::kOk, "opened " + opened->backend} : opened.error();
}

TEST(OpenDevice, AutoNeverTakesTheNullBackend) {
    SKIP_WITHOUT("cpu");
    const Result<OpenedDevice> opened = open_device(tiny::config("auto"));
    ASSERT_OK(opened);
    EXPECT_NE(opened->backend, "null");
    EXPECT_NE(opened->info.kind, static_cast<uint32_t>(TENON_DEVICE_NULL));
}

TEST(OpenDevice, AnUnknownBackendNamesThoseThatAreThere) {
    SKIP_WITHOUT("null");
    const Error error = error_of(tiny::config("cpuu"));
    EXPECT_EQ(error.code, Code::kConfig);
    EXPECT_NE(error.message.find("backend 'cpuu' cannot be used; found are: "), std::string::npos)
        << error.message;
    EXPECT_NE(error.message.find("null"), std::string::npos);
}

TEST(OpenDevice, AnUnknownOptionOfABackendIsAConfigurationError) {
    SKIP_WITHOUT("cpu");
    config::EngineConfig config = tiny::config();
    config.plugins["cpu"]["force_iso"] = "scalar";
    const Error unknown = error_of(config);
    EXPECT_EQ(unknown.code, Code::kConfig);
    EXPECT_EQ(unknown.message.find("backend cpu has no option 'force_iso'; did you mean "
                                   "'force_isa'?; it has: "),
              0u)
        << unknown.message;
    config.plugins["cpu"] = {{"force_isa", "mmx"}};
    const Error bad = error_of(config);
    EXPECT_EQ(bad.code, Code::kConfig);
    EXPECT_NE(bad.message.find("'mmx'"), std::string::npos) << bad.message;
}

TEST(OpenDevice, ThreadsReachTheBackend) {
    SKIP_WITHOUT("cpu");
    config::EngineConfig config = tiny::config();
    for (const uint32_t threads : {1u, 3u}) {
        config.threads = threads;
        const Result<OpenedDevice> opened = open_device(config);
        ASSERT_OK(opened);
        EXPECT_EQ(opened->info.threads, threads);
    }
}

TEST(ScanPlugins, AnAllowlistEntryHasThreeParts) {
    config::EngineConfig config = tiny::config();
    config.plugin_allow = {"cpu-0.1.0"};
    const Result<host::Registry> registry = scan_plugins(config);
    ASSERT_FALSE(registry.ok());
    EXPECT_EQ(registry.error().message,
              "plugin_allow: expected id@version:sha256, got 'cpu-0.1.0'");
}

TEST(ScanPlugins, AnEmptyAllowlistRefusesEveryPlugin) {
    SKIP_WITHOUT("null");
    config::EngineConfig config = tiny::config();
    config.plugin_trust = "allowlist";
    const Result<host::Registry> registry = scan_plugins(config);
    ASSERT_OK(registry);
    for (const host::Candidate& candidate : registry->candidates()) {
        EXPECT_FALSE(candidate.usable) << candidate.id;
        EXPECT_FALSE(candidate.reason.empty());
    }
}

}  // namespace
}  // namespace tenon::engine
