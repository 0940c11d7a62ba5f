// A plugin written in C against the header alone goes through the whole host.
#include <gtest/gtest.h>

#include "core/host/registry.h"

namespace tenon::host {
namespace {

TEST(PlainC, LoadsWithoutTheSdk) {
    const Registry registry = Registry::scan(
        {{std::string(TENON_BINARY_DIR) + "/tests/plugins", SearchPlace::Origin::kConfigured, {}}},
        Trust());
    const Candidate* candidate = registry.find("plain_c");
    if (candidate == nullptr) {
        for (const Candidate& other : registry.candidates()) {
            if (other.id == "plain_c") FAIL() << other.reason;
        }
        GTEST_SKIP() << "the build folder is not trusted: " << registry.places().at(0).note;
    }
    const auto backend = registry.load("plain_c");
    ASSERT_TRUE(backend.ok()) << backend.error().message;
    const auto devices = backend->enumerate();
    ASSERT_TRUE(devices.ok());
    EXPECT_TRUE(devices->empty());
    const uint8_t uuid[16] = {};
    const auto device = backend->open(uuid);
    ASSERT_FALSE(device.ok());
    EXPECT_EQ(device.error().code, Code::kUnsupported);
    EXPECT_EQ(device.error().message, "The plain C backend has no device.");
}

}  // namespace
}  // namespace tenon::host
