#include "core/cli/load_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tenon::cli {
namespace {

TEST(LoadReport, QuantilesAreNearestRanks) {
    EXPECT_EQ(quantiles({}).count, 0u);
    const Quantiles one = quantiles({7});
    EXPECT_EQ(one.p50, 7);
    EXPECT_EQ(one.p99, 7);
    std::vector<double> samples;
    for (int i = 1; i <= 1000; ++i)
        samples.push_back(i);
    std::shuffle(samples.begin(), samples.end(), std::mt19937(1));
    const Quantiles q = quantiles(samples);
    EXPECT_EQ(q.p50, 500);
    EXPECT_EQ(q.p95, 950);
    EXPECT_EQ(q.p99, 990);
    EXPECT_EQ(q.max, 1000);
    EXPECT_EQ(q.mean, 500.5);
    EXPECT_EQ(quantiles({1, 2, 3, 4}).p50, 2);
    EXPECT_EQ(quantiles({1, 2, 3, 4}).p95, 4);
}

TEST(LoadReport, ReadsGoodput) {
    const Result<Goodput> goodput = parse_goodput("e2e:10s,ttft:500ms,itl:1.5ms");
    ASSERT_TRUE(goodput.ok());
    EXPECT_EQ(goodput->ttft_ms, 500);
    EXPECT_EQ(goodput->itl_ms, 1.5);
    EXPECT_EQ(goodput->e2e_ms, 10'000);
    for (const char* text : {"", "ttft", "ttft:", "ttft:5", "ttft:5m", "ttft:0ms", "ttft:-1ms",
                             "tpot:5ms", "ttft:5ms,", "ttft:5ms,ttft:6ms", "ttft:nanms"}) {
        EXPECT_FALSE(parse_goodput(text).ok()) << text;
    }
}

LoadRecord record(double first, std::vector<double> gaps, double end, uint32_t tokens) {
    LoadRecord made;
    made.end = LoadRecord::End::kOk;
    made.first_ms = first;
    made.gaps_ms = std::move(gaps);
    made.end_ms = end;
    made.input_tokens = 5;
    made.output_tokens = tokens;
    return made;
}

LoadRecord failure(const char* kind, const char* message) {
    LoadRecord made;
    made.end = LoadRecord::End::kFailed;
    made.kind = kind;
    made.message = message;
    made.output_tokens = 1000;
    return made;
}

TEST(LoadReport, SumsUp) {
    LoadResult result;
    result.seconds = 2;
    result.records = {record(100, {10, 20}, 130, 3), record(300, {40}, 340, 2),
                      record(50, {}, 50, 1),         failure("cut", "a"),
                      failure("http 429", "first"),  failure("http 429", "second")};
    result.records.emplace_back().end = LoadRecord::End::kCancelled;
    const LoadSummary summary = summarize(result, *parse_goodput("ttft:200ms,itl:14ms"));
    EXPECT_EQ(summary.completed, 3u);
    EXPECT_EQ(summary.failed, 3u);
    EXPECT_EQ(summary.cancelled, 1u);
    EXPECT_EQ(summary.good, 1u);  // the first has a mean gap of 15
    EXPECT_EQ(summary.output_tokens, 6u);
    EXPECT_EQ(summary.input_tokens, 15u);
    EXPECT_EQ(summary.ttft.p50, 100);
    EXPECT_EQ(summary.inter_token.p50, 20);
    EXPECT_EQ(summary.inter_token.count, 3u);
    EXPECT_EQ(summary.e2e.max, 340);
    EXPECT_EQ(summary.per_second(summary.completed), 1.5);
    ASSERT_EQ(summary.errors.size(), 2u);
    EXPECT_EQ(summary.errors[0].kind, "http 429");
    EXPECT_EQ(summary.errors[0].count, 2u);
    EXPECT_EQ(summary.errors[0].example, "first");
    const std::string text = to_text(summary, *parse_goodput("ttft:200ms,itl:14ms"));
    EXPECT_NE(text.find("3 completed, 3 failed, 1 cancelled in 2.00 s"), std::string::npos) << text;
    EXPECT_NE(text.find("1.50 requests/s, 3.0 output tokens/s, 10.5 tokens/s"), std::string::npos);
    EXPECT_NE(text.find("goodput 16.7 %, 0.50 requests/s"), std::string::npos) << text;
    EXPECT_NE(text.find("2 x http 429: first"), std::string::npos);
}

}  // namespace
}  // namespace tenon::cli
