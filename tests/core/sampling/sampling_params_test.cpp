#include "core/sampling/sampling_params.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tenon::sampling {
namespace {

TEST(SamplingParams, DefaultsAreLegal) { EXPECT_TRUE(validate({}).ok()); }

TEST(SamplingParams, NamesTheFieldThatIsOutOfRange) {
    const auto message = [](SamplingParams p) { return validate(p).error().message; };
    EXPECT_EQ(message({.temperature = -1}), "temperature is -1; expected 0 to 2 (0 is greedy)");
    EXPECT_EQ(message({.temperature = NAN}), "temperature is nan; expected 0 to 2 (0 is greedy)");
    EXPECT_EQ(message({.top_k = -3}), "top_k is -3; expected 0 (off) or more");
    EXPECT_EQ(message({.top_p = 0}), "top_p is 0; expected more than 0, at most 1");
    EXPECT_EQ(message({.min_p = 1.5f}), "min_p is 1.5; expected 0 to 1");
}

}  // namespace
}  // namespace tenon::sampling
