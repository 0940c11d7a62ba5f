#include "core/host/option_spec.h"

#include <gtest/gtest.h>

namespace tenon::host {
namespace {

OptionSpec of(OptionSpec::Type type) {
    OptionSpec option;
    option.key = "k";
    option.type = type;
    return option;
}

TEST(OptionSpec, JudgesByTypeAndRange) {
    const OptionSpec flag = of(OptionSpec::Type::kBool);
    EXPECT_EQ(value_problem(flag, "true"), "");
    EXPECT_EQ(value_problem(flag, "yes"), "expected true or false, got 'yes'");

    OptionSpec whole = of(OptionSpec::Type::kInt);
    EXPECT_EQ(value_problem(whole, "-9"), "");
    EXPECT_EQ(value_problem(whole, "1.5"), "expected a whole number, got '1.5'");
    whole.max = 8;
    EXPECT_EQ(value_problem(whole, "9"), "expected a whole number of at most 8, got '9'");
    whole.min = 2;
    EXPECT_EQ(value_problem(whole, "2"), "");
    EXPECT_EQ(value_problem(whole, "8"), "");
    for (const char* value : {"1", "9", "", " 3", "3 ", "+3", "0x3", "99999999999999999999"}) {
        EXPECT_EQ(value_problem(whole, value),
                  "expected a whole number from 2 to 8, got '" + std::string(value) + "'");
    }

    const OptionSpec real = of(OptionSpec::Type::kFloat);
    EXPECT_EQ(value_problem(real, "1.5"), "");
    EXPECT_EQ(value_problem(real, "nan"), "expected a number, got 'nan'");
    EXPECT_EQ(value_problem(of(OptionSpec::Type::kString), "anything"), "");
}

TEST(OptionSpec, ShowsNothingThatATerminalWouldObey) {
    const std::string seen =
        value_problem(of(OptionSpec::Type::kBool), "\x1b[31m" + std::string(500, 'x'));
    EXPECT_EQ(seen.find('\x1b'), std::string::npos);
    EXPECT_LT(seen.size(), 200u);
}

}  // namespace
}  // namespace tenon::host
