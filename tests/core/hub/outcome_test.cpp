#include "core/hub/outcome.h"

#include <gtest/gtest.h>

namespace tenon::hub {
namespace {

using std::chrono::milliseconds;

FetchAnswer answer_of(int status, const std::string& retry_after = "") {
    FetchAnswer answer;
    answer.status = status;
    answer.sent.url = "https://hub.example:8443/org/repo?token=hidden";
    if (!retry_after.empty()) answer.headers.add("Retry-After", retry_after);
    return answer;
}

TEST(Outcome, WhatPassesIsTriedAgain) {
    for (const int status : {408, 429, 500, 502, 503, 504})
        EXPECT_EQ(judge(answer_of(status), Error{}, milliseconds(0)).kind, Outcome::Kind::kRetry)
            << status;
    for (const int status : {400, 401, 403, 404, 416, 501})
        EXPECT_EQ(judge(answer_of(status), Error{}, milliseconds(0)).kind, Outcome::Kind::kFatal)
            << status;
    for (const Code code : {Code::kBusy, Code::kTimeout, Code::kData})
        EXPECT_EQ(judge(Error{code, ""}).kind, Outcome::Kind::kRetry);
    for (const Code code : {Code::kInvalid, Code::kOomHost, Code::kCancelled})
        EXPECT_EQ(judge(Error{code, ""}).kind, Outcome::Kind::kFatal);
    EXPECT_TRUE(judge(Error{Code::kBusy, ""}).is_absent);
    EXPECT_FALSE(judge(Error{Code::kTimeout, ""}).is_absent);
}

TEST(Outcome, AServerMayAskForAPauseButNotForAnyPause) {
    const Outcome soon = judge(answer_of(503, "7"), Error{}, milliseconds(10'000));
    EXPECT_EQ(soon.after, milliseconds(7000));
    const Outcome late =
        judge(answer_of(503, "70"), Error{Code::kBusy, "busy"}, milliseconds(10'000));
    EXPECT_EQ(late.kind, Outcome::Kind::kFatal);
    EXPECT_EQ(late.error.message, "busy; it asks to come back in 70 s");
}

TEST(Outcome, ARefusalNamesHostAndStatusAndNoSecret) {
    const Error error = explain_status(answer_of(404), "m.gguf");
    EXPECT_EQ(error.message, "hub.example:8443 answered 404 (Not Found) when asked for m.gguf");
    EXPECT_EQ(error.code, Code::kInvalid);
    EXPECT_EQ(explain_status(answer_of(503), "m").code, Code::kBusy);
}

}  // namespace
}  // namespace tenon::hub
