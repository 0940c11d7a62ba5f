#include "core/engine/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace tenon::engine {
namespace {

// Feeds `text` cut at every place that `cut` says; returns what came out and whether it stopped.
std::pair<std::string, bool> feed(const std::vector<std::string>& stops, const std::string& text,
                                  std::mt19937& random) {
    StopMatcher matcher(stops);
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const size_t n = std::min<size_t>(text.size() - at, random() % 4);
        if (matcher.push(std::string_view(text).substr(at, n), out)) return {out, true};
        at += n;
    }
    matcher.flush(out);
    return {out, false};
}

TEST(StopMatcher, HoldsBackNoMoreThanAStopCouldNeed) {
    StopMatcher matcher({"stop"});
    std::string out;
    EXPECT_FALSE(matcher.push("a st", out));
    EXPECT_EQ(out, "a ");
    EXPECT_FALSE(matcher.push("art", out));
    EXPECT_EQ(out, "a start");
    EXPECT_TRUE(matcher.push("xstopy", out));
    EXPECT_EQ(out, "a startx");
}

TEST(StopMatcher, EqualsASearchInTheWholeTextHoweverItIsCut) {
    std::mt19937 random(20261121);
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (int i = 0; i < 24; ++i)
            text += static_cast<char>('a' + random() % 2);
        std::vector<std::string> stops;
        for (int i = 0; i < 2; ++i) {
            std::string stop;
            for (size_t n = 1 + random() % 5; n > 0; --n)
                stop += static_cast<char>('a' + random() % 2);
            stops.push_back(stop);
        }
        const auto [out, stopped] = feed(stops, text, random);
        // A match is seen as soon as it is whole: the stop that ends first wins.
        bool any = false;
        for (const std::string& stop : stops)
            any |= text.find(stop) != std::string::npos;
        EXPECT_EQ(stopped, any);
        EXPECT_EQ(text.compare(0, out.size(), out), 0);
        for (const std::string& stop : stops)
            EXPECT_EQ(out.find(stop), std::string::npos);
        if (!any) {
            EXPECT_EQ(out, text);
        }
    }
}

}  // namespace
}  // namespace tenon::engine
