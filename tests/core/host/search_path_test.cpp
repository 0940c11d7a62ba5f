#include "core/host/search_path.h"

#include <gtest/gtest.h>

namespace tenon::host {
namespace {

using Origin = SearchPlace::Origin;

TEST(SearchPath, KeepsTheOrder) {
    SearchInputs inputs;
    inputs.configured = {"/etc/tenon//plugins/"};
    inputs.env_path = "/a:/b";
    inputs.home = "/home/me";
    inputs.program = "/opt/tenon/bin/tenon";
    const auto places = plan_search_path(inputs);
    const std::vector<std::pair<std::string, Origin>> wanted = {
        {"/etc/tenon/plugins", Origin::kConfigured},
        {"/a", Origin::kEnvironment},
        {"/b", Origin::kEnvironment},
        {"/home/me/.local/share/tenon/plugins", Origin::kUser},
        {"/usr/local/lib/tenon/plugins", Origin::kAdmin},
        {"/usr/lib/tenon/plugins", Origin::kDistribution},
        {"/opt/tenon/lib/tenon/plugins", Origin::kBundle},
    };
    ASSERT_EQ(places.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_EQ(places[i].path, wanted[i].first);
        EXPECT_EQ(places[i].origin, wanted[i].second);
        EXPECT_EQ(places[i].left_out, "");
    }
}

TEST(SearchPath, DataHomeComesBeforeHome) {
    SearchInputs inputs;
    inputs.data_home = "/data";
    inputs.home = "/home/me";
    EXPECT_EQ(plan_search_path(inputs).at(0).path, "/data/tenon/plugins");
}

TEST(SearchPath, RelativePlacesAreLeftOut) {
    SearchInputs inputs;
    inputs.env_path = "plugins::.";
    inputs.data_home = "share";
    const auto places = plan_search_path(inputs);
    for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(places.at(i).left_out,
                  "The path is not absolute; the current folder is never searched.");
    }
}

TEST(SearchPath, RaisedPrivilegesLeaveAdminPlacesAlone) {
    SearchInputs inputs;
    inputs.configured = {"/c"};
    inputs.env_path = "/a";
    inputs.home = "/home/me";
    inputs.at_secure = true;
    for (const SearchPlace& place : plan_search_path(inputs)) {
        const bool chosen = place.origin == Origin::kEnvironment || place.origin == Origin::kUser;
        EXPECT_EQ(!place.left_out.empty(), chosen) << place.path;
    }
}

TEST(SearchPath, ConfiguredPlacesBecomeAbsolute) {
    const SearchInputs inputs = read_search_inputs({"some/where/"});
    ASSERT_EQ(inputs.configured.size(), 1u);
    EXPECT_EQ(inputs.configured[0][0], '/');
    EXPECT_NE(inputs.program, "");
    EXPECT_FALSE(inputs.at_secure);
}

}  // namespace
}  // namespace tenon::host
