#include "core/net/sse.h"

#include <gtest/gtest.h>

namespace tenon::net {
namespace {

std::string event(std::string_view name, std::string_view data) {
    std::string out;
    append_event(out, name, data);
    return out;
}

TEST(Sse, WritesEvents) {
    EXPECT_EQ(event("", "{\"a\":1}"), "data: {\"a\":1}\n\n");
    EXPECT_EQ(event("error", "x"), "event: error\ndata: x\n\n");
    EXPECT_EQ(event("", "[DONE]"), "data: [DONE]\n\n");
    EXPECT_EQ(event("", ""), "data: \n\n");
}

TEST(Sse, ALineBreakCannotEndAnEvent) {
    EXPECT_EQ(event("", "a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
    EXPECT_EQ(event("", "a\n\nevent: x"), "data: a\ndata: \ndata: event: x\n\n");
    EXPECT_EQ(event("", "a\n"), "data: a\ndata: \n\n");
    EXPECT_EQ(event("a\ndata: b", "c"), "event: a\ndata: c\n\n");
    std::string out;
    append_comment(out, "ping\n\ndata: x");
    EXPECT_EQ(out, ": ping\n\n");
}

}  // namespace
}  // namespace tenon::net
