#include "core/cli/load_stream.h"

#include <gtest/gtest.h>

#include <string>

namespace tenon::cli {
namespace {

using Clock = LoadStream::Clock;
using std::chrono::milliseconds;

net::Headers stream_headers() {
    net::Headers headers;
    headers.add("content-type", "text/event-stream; charset=utf-8");
    return headers;
}

std::string text_event(const char* text) {
    return std::string("data: {\"choices\": [{\"text\": \"") + text + "\"}]}\n\n";
}

// A stream whose bytes come at the given milliseconds.
LoadRecord play(const std::vector<std::pair<int, std::string>>& pieces, const Status& end = {},
                int status = 200, const net::Headers& headers = stream_headers()) {
    LoadRecord record;
    const Clock::time_point due{};
    LoadStream stream(record, due);
    stream.head(status, headers);
    int last = 0;
    for (const auto& [at, bytes] : pieces) {
        stream.bytes(bytes, due + milliseconds(at));
        last = at;
    }
    stream.end(end, due + milliseconds(last + 1));
    return record;
}

TEST(LoadStream, TimesTextAndTakesUsage) {
    const LoadRecord record = play({{5, ": ping\n\n" + text_event("")},
                                    {10, text_event("a")},
                                    {14, text_event("b").substr(0, 9)},
                                    {30, text_event("b").substr(9)},
                                    {35, text_event("c")},
                                    {40,
                                     "data: {\"choices\": [], \"usage\": {\"prompt_tokens\": 7, "
                                     "\"completion_tokens\": 9}}\n\ndata: [DONE]\n\n"}});
    EXPECT_EQ(record.end, LoadRecord::End::kOk) << record.kind << record.message;
    EXPECT_DOUBLE_EQ(record.first_ms, 10);
    EXPECT_EQ(record.gaps_ms, (std::vector<double>{20, 5}));
    EXPECT_DOUBLE_EQ(record.end_ms, 41);
    EXPECT_DOUBLE_EQ(record.mean_gap_ms(), 12.5);
    EXPECT_EQ(record.input_tokens, 7u);
    EXPECT_EQ(record.output_tokens, 9u);
}

TEST(LoadStream, ReadsChatsAndCountsPiecesWithoutUsage) {
    const LoadRecord record = play(
        {{1,
          "data: {\"choices\": [{\"delta\": {\"role\": \"assistant\", \"content\": \"\"}}]}\n\n"},
         {2, "data: {\"choices\": [{\"delta\": {\"content\": \"a\"}}], \"usage\": null}\n\n"},
         {4, "data: {\"choices\": [{\"delta\": {\"content\": \"b\"}}]}\r\n\r\ndata: [DONE]\n\n"}});
    EXPECT_EQ(record.end, LoadRecord::End::kOk);
    EXPECT_DOUBLE_EQ(record.first_ms, 2);
    EXPECT_EQ(record.output_tokens, 2u);
}

TEST(LoadStream, NamesWhatWentWrong) {
    const std::string done = "data: [DONE]\n\n";
    const auto kind = [](const LoadRecord& record) {
        EXPECT_EQ(record.end, LoadRecord::End::kFailed);
        return record.kind;
    };
    EXPECT_EQ(kind(play({{1, text_event("a")}})), "cut");
    EXPECT_EQ(kind(play({{1, text_event("a")}}, Error{Code::kData, "the response was cut"})),
              "cut");
    EXPECT_EQ(kind(play({}, Error{Code::kData, "malformed response: x"}, 0)), "malformed");
    EXPECT_EQ(kind(play({}, Error{Code::kBusy, "cannot connect"}, 0)), "connection");
    EXPECT_EQ(kind(play({}, Error{Code::kTimeout, "total timeout: x"}, 0)), "total timeout");
    EXPECT_EQ(kind(play({{1, "data: {]\n\n" + done}})), "malformed");
    EXPECT_EQ(kind(play({{1, "data: {\"error\": {\"message\": \"x\"}}\n\n"}})), "error event");
    const LoadRecord busy = play({{1, "{\"error\": \"slow down\"}"}}, {}, 429, net::Headers());
    EXPECT_EQ(kind(busy), "http 429");
    EXPECT_EQ(busy.message, "{\"error\": \"slow down\"}");
    EXPECT_EQ(kind(play({{1, "{}"}}, {}, 200, net::Headers())), "no stream");
    EXPECT_EQ(play({}, Error{Code::kCancelled, "x"}).end, LoadRecord::End::kCancelled);
}

}  // namespace
}  // namespace tenon::cli
