#include "core/net/timeouts.h"

#include <gtest/gtest.h>

namespace tenon::net {
namespace {

using std::chrono::milliseconds;

TEST(Timeouts, ChoosesByWhatTheRequestAsksFor) {
    const config::TimeoutConfig timeouts;
    const auto choose = [&](const RequestShape& shape) { return choose_timeout(timeouts, shape); };
    constexpr uint64_t kBillion = 1'000'000'000;

    ChosenTimeout got = choose(
        {.path = "/v1/chat/completions", .tokens_max = 128, .model_parameters = kBillion / 8});
    EXPECT_EQ(got.duration, milliseconds(90'000));
    EXPECT_EQ(got.clock, "timeouts.default");
    got = choose({.path = "/health", .is_computing = false});
    EXPECT_EQ(got.duration, milliseconds(2'000));
    EXPECT_EQ(got.clock, "timeouts.health");
    got = choose({.path = "/v1/chat/completions", .is_streaming = true, .tokens_max = 1});
    EXPECT_EQ(got.duration, milliseconds(600'000));
    EXPECT_EQ(got.clock, "timeouts.extended");
    // Many tokens, or a large model, or a slow one.
    EXPECT_EQ(choose({.path = "/x", .tokens_max = 100'000, .model_parameters = kBillion / 8}).clock,
              "timeouts.extended");
    EXPECT_EQ(choose({.path = "/x", .tokens_max = 512, .model_parameters = 70 * kBillion}).clock,
              "timeouts.extended");
    EXPECT_EQ(
        choose({.path = "/x", .tokens_max = 512, .model_parameters = 70 * kBillion, .token_ms = 10})
            .clock,
        "timeouts.default");
    EXPECT_EQ(
        choose({.path = "/x", .tokens_max = 512, .model_parameters = kBillion, .token_ms = 100})
            .clock,
        "timeouts.extended");
}

TEST(Timeouts, ARouteOfItsOwnWins) {
    config::TimeoutConfig timeouts;
    timeouts.routes = {
        {"/v1/*", {1'000}}, {"/v1/chat/*", {2'000}}, {"/v1/chat/x", {3'000}}, {"/health", {4'000}}};
    const auto ms = [&](std::string_view path) {
        return choose_timeout(timeouts, {.path = path, .is_streaming = true}).duration.count();
    };
    EXPECT_EQ(ms("/v1/models"), 1'000);
    EXPECT_EQ(ms("/v1/chat/completions"), 2'000);
    EXPECT_EQ(ms("/v1/chat/x"), 3'000);
    EXPECT_EQ(ms("/health"), 4'000);
    EXPECT_EQ(ms("/v2"), 600'000);
    EXPECT_EQ(choose_timeout(timeouts, {.path = "/v1/models"}).clock, "timeouts.routes[/v1/*]");
}

TEST(Timeouts, AnExpirySaysWhichClockFired) {
    EXPECT_EQ(expiry_text({milliseconds(90'000), "timeouts.default", ""}),
              "The request did not end within 90 s (clock timeouts.default).");
    EXPECT_EQ(expiry_text({milliseconds(1'500), "timeouts.extended", "the request streams"}),
              "The request did not end within 1500 ms (clock timeouts.extended; the request "
              "streams).");
}

}  // namespace
}  // namespace tenon::net
