#include "core/hub/range_headers.h"

#include <gtest/gtest.h>

namespace tenon::hub {
namespace {

net::Headers header(const char* name, const char* value) {
    net::Headers headers;
    headers.add(name, value);
    return headers;
}

TEST(RangeHeaders, ReadRanges) {
    const auto range = content_range(header("Content-Range", "bytes 5-9/20"));
    ASSERT_TRUE(range.has_value());
    EXPECT_EQ(range->begin, 5u);
    EXPECT_EQ(range->end, 10u);
    EXPECT_EQ(range->size, 20u);
    EXPECT_EQ(content_range(header("content-range", "bytes */0"))->size, 0u);
    for (const char* bad :
         {"", "bytes", "bytes 5-9", "bytes 5-9/*", "bytes 9-5/20", "bytes 5-20/20", "items 0-1/2",
          "bytes -5/20", "bytes 5-/20", "bytes +5-9/20", "bytes 0-1/99999999999999999999"}) {
        EXPECT_FALSE(content_range(header("Content-Range", bad)).has_value()) << bad;
    }
    EXPECT_FALSE(content_range({}).has_value());
}

TEST(RangeHeaders, TellStrongTagsFromWeakOnes) {
    EXPECT_EQ(strong_etag(header("ETag", "\"abc\"")), "\"abc\"");
    EXPECT_EQ(strong_etag(header("ETag", "W/\"abc\"")), "");
    EXPECT_EQ(strong_etag({}), "");
    EXPECT_EQ(without_quotes("W/\"abc\""), "abc");
    EXPECT_EQ(without_quotes("abc"), "abc");
    EXPECT_EQ(without_quotes("\""), "\"");
}

TEST(RangeHeaders, KnowWhenToComeBack) {
    EXPECT_EQ(retry_after(header("Retry-After", "2"))->count(), 2000);
    EXPECT_FALSE(retry_after(header("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")).has_value());
    EXPECT_FALSE(retry_after(header("Retry-After", "-1")).has_value());
    EXPECT_FALSE(retry_after({}).has_value());
}

}  // namespace
}  // namespace tenon::hub
