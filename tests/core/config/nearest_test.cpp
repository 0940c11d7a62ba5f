#include "core/config/nearest.h"

#include <gtest/gtest.h>

namespace tenon::config {
namespace {

TEST(Nearest, CountsSwapsAsOneEdit) {
    EXPECT_EQ(edit_distance("threads", "thraeds"), 1u);
    EXPECT_EQ(edit_distance("", "abc"), 3u);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Nearest, SuggestsOnlyWhatIsClose) {
    const std::vector<std::string> known = {"threads", "backend", "compute"};
    EXPECT_EQ(nearest("thread", known), "threads");
    EXPECT_EQ(nearest("bakcend", known), "backend");
    EXPECT_EQ(nearest("zzz", known), "");
}

}  // namespace
}  // namespace tenon::config
