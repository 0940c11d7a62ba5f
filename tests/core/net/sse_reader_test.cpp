#include "core/net/sse_reader.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace tenon::net {
namespace {

struct Event {
    std::string raw, type, data, id;
    bool has_data;
    bool operator==(const Event&) const = default;
};

struct Reading {
    std::vector<Event> events;
    std::string error, rest;
    bool operator==(const Reading&) const = default;
};

Reading read(std::string_view bytes, const std::vector<size_t>& cuts = {}, size_t limit = 1 << 20) {
    SseReader reader(limit);
    Reading reading;
    const auto take = [&](const SseEvent& event) {
        reading.events.push_back({std::string(event.raw), std::string(event.type),
                                  std::string(event.data), std::string(event.id), event.has_data});
    };
    size_t at = 0;
    std::vector<size_t> ends = cuts;
    ends.push_back(bytes.size());
    for (const size_t end : ends) {
        const Status status = reader.feed(bytes.substr(at, end - at), take);
        at = end;
        if (!status.ok()) {
            reading.error = status.error().message;
            return reading;
        }
    }
    const Status status = reader.finish(take);
    if (!status.ok()) reading.error = status.error().message;
    reading.rest = reader.rest();
    return reading;
}

std::vector<std::string> data_of(const Reading& reading) {
    std::vector<std::string> all;
    for (const Event& event : reading.events)
        if (event.has_data) all.push_back(event.data);
    return all;
}

const std::string kStream =
    "\xef\xbb\xbf"
    "data: {\"a\": 1}\n\n"
    ": ping\n\n"
    "event: error\r\ndata:no space\r\ndata:  two\r\nid: 7\r\n\r\n"
    "data\rdata: caf\xc3\xa9 \xf0\x9f\x98\x80\r\r"
    "retry: 10\nunknown: x\ndata: \xff\xfe broken\n\r\n"
    "\n"
    "data: [DONE]\n\n";

TEST(SseReader, ReadsFieldsAndEveryLineEnd) {
    const Reading reading = read(kStream);
    EXPECT_EQ(reading.error, "");
    EXPECT_EQ(data_of(reading), (std::vector<std::string>{"{\"a\": 1}", "no space\n two",
                                                          "\ncaf\xc3\xa9 \xf0\x9f\x98\x80",
                                                          "\xff\xfe broken", "[DONE]"}));
    ASSERT_EQ(reading.events.size(), 7u);
    EXPECT_EQ(reading.events[1].raw, ": ping\n\n");
    EXPECT_FALSE(reading.events[1].has_data);
    EXPECT_EQ(reading.events[2].type, "error");
    EXPECT_EQ(reading.events[2].id, "7");
    EXPECT_EQ(reading.events[3].type, "");
    EXPECT_EQ(reading.events[3].id, "");
}

TEST(SseReader, GivesEveryByteBackAndDoesNotDependOnCuts) {
    const Reading whole = read(kStream);
    std::string raw;
    for (const Event& event : whole.events)
        raw += event.raw;
    EXPECT_EQ(raw, kStream);
    for (size_t i = 0; i <= kStream.size(); ++i)
        EXPECT_EQ(read(kStream, {i}), whole) << i;
    std::vector<size_t> each;
    for (size_t i = 1; i < kStream.size(); ++i)
        each.push_back(i);
    EXPECT_EQ(read(kStream, each), whole);
}

TEST(SseReader, DoesNotDependOnCutsOfRandomBytes) {
    std::mt19937 random(3);
    const std::string alphabet = "d:a \r\n\r\n\r\nta:\xc3\xa9" + std::string(1, '\0');
    for (int round = 0; round < 3'000; ++round) {
        std::string text;
        for (uint32_t n = random() % 60; n > 0; --n) {
            if (random() % 4 == 0) text += "data";
            text += alphabet[random() % alphabet.size()];
        }
        const size_t limit = random() % 2 == 0 ? 1 << 20 : 24;
        const Reading whole = read(text, {}, limit);
        std::vector<size_t> cuts;
        for (size_t i = 0; i < text.size(); ++i)
            if (random() % 3 == 0) cuts.push_back(i);
        const Reading cut = read(text, cuts, limit);
        EXPECT_EQ(cut, whole) << testing::PrintToString(text);
        std::string raw;
        for (const Event& event : cut.events)
            raw += event.raw;
        if (limit > 24) {
            EXPECT_EQ(raw + cut.rest, text);
        }
    }
}

TEST(SseReader, AnEventEndsAtABlankLineOnly) {
    const Reading reading = read("data: whole\n\ndata: half\n");
    EXPECT_EQ(data_of(reading), std::vector<std::string>{"whole"});
    EXPECT_EQ(reading.rest, "data: half\n");
    EXPECT_EQ(reading.error,
              "the stream ended inside a server-sent event, 11 bytes after the last whole one");
    EXPECT_EQ(data_of(read("data: x\r\r")), std::vector<std::string>{"x"});
    EXPECT_EQ(read("data: x\r\r").error, "");
}

TEST(SseReader, BoundsAnEvent) {
    const std::string fits = "data: " + std::string(16, 'x') + "\n\n";
    EXPECT_EQ(read(fits + fits, {}, 24).events.size(), 2u);
    const Reading reading = read(fits + "data: " + std::string(17, 'x') + "\n\n" + fits, {}, 24);
    EXPECT_EQ(reading.events.size(), 1u);
    EXPECT_EQ(reading.error, "a server-sent event has more than 24 bytes");
    SseReader reader(24);
    EXPECT_FALSE(reader.feed(std::string(25, 'x'), [](const SseEvent&) {}).ok());
    EXPECT_FALSE(reader.feed("\n\n", [](const SseEvent&) { FAIL(); }).ok());
}

}  // namespace
}  // namespace tenon::net
