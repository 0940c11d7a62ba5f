#include "core/host/nvml.h"

#include <gtest/gtest.h>

namespace tenon::host {
namespace {

TEST(Nvml, IsNullWithoutTheDriversLibrary) {
    EXPECT_EQ(Nvml::open("libnvidia-ml-that-is-not-there.so.1"), nullptr);
    // A library that is there but is another one.
    EXPECT_EQ(Nvml::open("libc.so.6"), nullptr);
}

TEST(Nvml, ReadsWhatTheDriverSays) {
    const auto nvml = Nvml::open(TENON_FAKE_NVML);
    ASSERT_NE(nvml, nullptr);
    const std::vector<NvmlDevice> devices = nvml->read();
    ASSERT_EQ(devices.size(), 1u);  // the second one does not answer
    EXPECT_EQ(devices[0].name, "Fake 9000");
    EXPECT_DOUBLE_EQ(devices[0].utilization, 0.73);
    EXPECT_EQ(devices[0].memory_used, 3u << 20);
    EXPECT_EQ(devices[0].memory_total, 8u << 20);
}

}  // namespace
}  // namespace tenon::host
