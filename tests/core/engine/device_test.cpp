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
                                   "'force_isa'?"),
              0u)
        << unknown.message;
    config.plugins["cpu"] = {{"pin", "yes"}, {"spin_us", "1001"}, {"force_isa", "scalar"}};
    EXPECT_EQ(error_of(config).message,
              "cpu.pin: expected true or false, got 'yes'\n"
              "cpu.spin_us: expected a whole number from 0 to 1000, got '1001'");
    config.plugins["cpu"] = {{"force_isa", "mmx"}};
    const Error bad = error_of(config);
    EXPECT_EQ(bad.code, Code::kConfig);
    EXPECT_NE(bad.message.find("'mmx'"), std::string::npos) << bad.message;
}

TEST(OpenDevice, ASectionOfAPluginThatNobodyHasIsAConfigurationError) {
    SKIP_WITHOUT("cpu");
    config::EngineConfig config = tiny::config();
    config.plugins["cpuu"]["pin"] = "true";
    const Error error = error_of(config);
    EXPECT_EQ(error.code, Code::kConfig);
    EXPECT_EQ(error.message.find("cpuu.pin: there is no plugin 'cpuu'; did you mean 'cpu'?"), 0u)
        << error.message;
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

// A folder of plugins below /tmp with one manifest of kind quant.
class QuantPlugin : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
        config_ = tiny::config();
        config_.plugin_dirs.insert(config_.plugin_dirs.begin(), folder_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    void declare(uint32_t number) {
        std::filesystem::create_directory(folder_ + "/toy");
        std::filesystem::permissions(folder_ + "/toy", std::filesystem::perms(0755));
        std::ofstream(folder_ + "/toy/plugin.yaml")
            << "id: toy\nversion: 1.0.0\nkinds: [quant]\nformats:\n  - {id: toy.q3/0, name: "
               "q3_toy, "
               "gguf_type: "
            << number
            << ", class: affine_group, bits: 3, group: 96, block_elems: 96, block_bytes: 38, "
               "packing: "
               "lsb_first, codes_offset: 2, scale: {type: f16, offset: 0}}\n";
        std::filesystem::permissions(folder_ + "/toy/plugin.yaml", std::filesystem::perms(0644));
    }
    std::string folder_ = "/tmp/tenon-quant-XXXXXX";
    config::EngineConfig config_;
};

TEST_F(QuantPlugin, DeclaresAFormat) {
    declare(1003);
    const Result<formats::FormatTable> table = find_formats(config_);
    ASSERT_OK(table);
    ASSERT_NE(table->find("q3_toy"), nullptr);
    EXPECT_EQ(table->find_gguf(1003), table->find("toy.q3/0"));
    const Result<host::Registry> registry = scan_plugins(config_);
    ASSERT_OK(registry);
    EXPECT_NE(registry->find("toy"), nullptr);
}

TEST_F(QuantPlugin, IsRefusedForANumberThatIsBuiltIn) {
    declare(12);
    const std::string why = folder_ +
                            "/toy/plugin.yaml:5: format 'q3_toy': number 12 is taken by "
                            "'q4_k', which is built in.";
    const Result<host::Registry> registry = scan_plugins(config_);
    ASSERT_OK(registry);
    EXPECT_EQ(registry->find("toy"), nullptr);
    EXPECT_EQ(registry->candidates()[0].reason, why);
    const Result<formats::FormatTable> table = find_formats(config_);
    ASSERT_OK(table);
    EXPECT_EQ(table->find("q3_toy"), nullptr);
    EXPECT_EQ(table->refusal(12), folder_ + "/toy declares it, but is refused: " + why);
}

}  // namespace
}  // namespace tenon::engine
