#include "core/cli/device_survey.h"

#include <gtest/gtest.h>

#include <cstring>

namespace tenon::cli {
namespace {

Sighting sighting(const std::string& backend, uint8_t first_byte, const std::string& detail = "") {
    Sighting seen{backend, "1.0.0", {}};
    seen.info.uuid[0] = first_byte;
    std::strncpy(seen.info.detail, detail.c_str(), sizeof seen.info.detail - 1);
    return seen;
}

TEST(AddSighting, OneDeviceOfTwoBackendsIsListedOnce) {
    std::vector<SeenDevice> devices;
    add_sighting(devices, sighting("a", 7, "one way"));
    add_sighting(devices, sighting("a", 9));
    add_sighting(devices, sighting("b", 7, "another way"));
    ASSERT_EQ(devices.size(), 2u);
    EXPECT_EQ(DeviceSurvey::backends_of(devices[0]), "a, b");
    EXPECT_STREQ(devices[0][0].info.detail, "one way");
    EXPECT_STREQ(devices[0][1].info.detail, "another way");
    EXPECT_EQ(DeviceSurvey::backends_of(devices[1]), "a");
}

TEST(AddSighting, OneBackendThatListsAUuidTwiceHasTwoDevices) {
    std::vector<SeenDevice> devices;
    add_sighting(devices, sighting("a", 7));
    add_sighting(devices, sighting("a", 7));
    EXPECT_EQ(devices.size(), 2u);
    add_sighting(devices, sighting("b", 7));
    add_sighting(devices, sighting("b", 7));
    EXPECT_EQ(devices.size(), 2u);
    EXPECT_EQ(DeviceSurvey::backends_of(devices[0]), "a, b");
    EXPECT_EQ(DeviceSurvey::backends_of(devices[1]), "a, b");
}

TEST(AddSighting, NoUuidIsNobodysUuid) {
    std::vector<SeenDevice> devices;
    add_sighting(devices, sighting("a", 0));
    add_sighting(devices, sighting("b", 0));
    EXPECT_EQ(devices.size(), 2u);
}

}  // namespace
}  // namespace tenon::cli
