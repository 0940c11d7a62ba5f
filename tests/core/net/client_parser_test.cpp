#include "core/net/client_parser.h"

#include <gtest/gtest.h>

#include <random>

namespace tenon::net {
namespace {

// What a response says when it comes in pieces that end where `cuts` says.
struct Reading {
    int status = 0;
    std::string body, error;
    bool has_ended = false, keeps_alive = false;
    size_t leftover = 0;
    bool operator==(const Reading&) const = default;
};

Reading read(std::string_view bytes, const std::vector<size_t>& cuts = {}, bool is_head = false) {
    ResponseParser parser(is_head);
    Reading reading;
    size_t at = 0;
    std::vector<size_t> ends = cuts;
    ends.push_back(bytes.size());
    for (const size_t end : ends) {
        std::string_view piece = bytes.substr(at, end - at);
        at = end;
        if (reading.has_ended) {
            reading.leftover += piece.size();
            continue;
        }
        while (true) {
            const auto next = parser.next(piece);
            if (!next.ok()) {
                reading.error = next.error().message;
                return reading;
            }
            if (*next == ResponseParser::Piece::kMore) break;
            if (*next == ResponseParser::Piece::kHead) reading.status = parser.status();
            if (*next == ResponseParser::Piece::kBody) reading.body += parser.body();
            if (*next == ResponseParser::Piece::kEnd) {
                reading.has_ended = true;
                reading.keeps_alive = parser.keeps_alive();
                reading.leftover = piece.size();
                break;
            }
        }
    }
    if (!reading.has_ended) {
        const Status status = parser.finish();
        if (!status.ok()) reading.error = status.error().message;
    }
    return reading;
}

const char* const kWhole[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0A\r\n0123456789\r\n0\r\nT: u\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 404 No\r\n"
    "content-length: 2\r\nCONTENT-LENGTH: 2\r\n\r\nno",
};

TEST(ClientParser, ReadsEveryFraming) {
    EXPECT_EQ(read(kWhole[0]), (Reading{200, "hello", "", true, true, 0}));
    EXPECT_EQ(read(kWhole[1]), (Reading{200, "", "", true, true, 0}));
    EXPECT_EQ(read(kWhole[2]), (Reading{200, "hello!", "", true, true, 0}));
    EXPECT_EQ(read(kWhole[3]), (Reading{200, "0123456789", "", true, true, 0}));
    EXPECT_EQ(read(kWhole[4]), (Reading{204, "", "", true, true, 0}));
    EXPECT_EQ(read(kWhole[5]), (Reading{404, "no", "", true, true, 0}));
    EXPECT_EQ(read("HTTP/1.1 200 OK\r\n\r\nuntil the end"),
              (Reading{200, "until the end", "", false, false, 0}));
    EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", {}, true),
              (Reading{200, "", "", true, true, 0}));
}

TEST(ClientParser, DoesNotDependOnWherePiecesEnd) {
    std::mt19937 random(1);
    for (const std::string_view text : kWhole) {
        const Reading whole = read(text);
        for (size_t i = 0; i <= text.size(); ++i)
            EXPECT_EQ(read(text, {i}), whole) << text.substr(0, i);
        std::vector<size_t> each;
        for (size_t i = 1; i < text.size(); ++i)
            each.push_back(i);
        EXPECT_EQ(read(text, each), whole);
    }
}

TEST(ClientParser, LeavesWhatFollows) {
    EXPECT_EQ(read(std::string(kWhole[0]) + "HTTP/1.1 2"),
              (Reading{200, "hello", "", true, true, 10}));
    EXPECT_EQ(read(std::string(kWhole[2]) + "x"), (Reading{200, "hello!", "", true, true, 1}));
}

TEST(ClientParser, KnowsWhenAConnectionEnds) {
    const auto keeps = [](const std::string& line, const std::string& header) {
        return read(line + " 200 OK\r\nContent-Length: 0\r\n" + header + "\r\n").keeps_alive;
    };
    EXPECT_TRUE(keeps("HTTP/1.1", ""));
    EXPECT_FALSE(keeps("HTTP/1.1", "Connection: close\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.1", "connection: foo , CLOSE\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.0", ""));
    EXPECT_TRUE(keeps("HTTP/1.0", "Connection: keep-alive\r\n"));
}

TEST(ClientParser, RefusesWhatIsMalformed) {
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    const std::string chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";
    for (const std::string& text : std::vector<std::string>{
             "SSH-2.0-x\r\n",
             "HTTP/2.0 200 OK\r\n\r\n",
             "HTTP/1.2 200 OK\r\n\r\n",
             "HTTP/1.1 20 OK\r\n\r\n",
             "HTTP/1.1 600 OK\r\n\r\n",
             "HTTP/1.1 2x0 OK\r\n\r\n",
             "HTTP/1.1 101 Switching\r\n\r\n",
             ok + "a b: c\r\n\r\n",
             ok + ": c\r\n\r\n",
             ok + "no colon\r\n\r\n",
             ok + "A: b\r\n folded\r\n\r\n",
             ok + "A : b\r\n\r\n",
             ok + "A: \x01\r\n\r\n",
             ok + "A: b\nB: c\r\n\r\n",
             ok + "Content-Length: -1\r\n\r\n",
             ok + "Content-Length: +1\r\n\r\n",
             ok + "Content-Length: 1, 1\r\n\r\n",
             ok + "Content-Length: 99999999999999999999\r\n\r\n",
             ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
             ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
             ok + "Transfer-Encoding: gzip, chunked\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
             "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
             chunked + "x\r\n",
             chunked + "-1\r\n",
             chunked + "\r\n",
             chunked + " 1\r\na\r\n",
             chunked + "1\na\r\n",
             chunked + "10000000000000000\r\n",
             chunked + "1\r\nab\r\n0\r\n\r\n",
             chunked + "0\r\nno colon\r\n\r\n",
             chunked + "1;" + std::string(2000, 'x'),
             chunked + "0\r\nA: " + std::string(70000, 'x')}) {
        EXPECT_EQ(read(text).error.rfind("malformed response: ", 0), 0u)
            << text.substr(0, 80) << " -> " << read(text).error;
    }
}

TEST(ClientParser, BoundsTheHead) {
    const std::string endless = "HTTP/1.1 200 OK\r\nA: " + std::string(10 << 20, 'x');
    EXPECT_EQ(read(endless).error, "malformed response: its head has more than 65536 bytes");
    EXPECT_EQ(read(endless, {10, 60000, 70000}).error, read(endless).error);
    std::string many = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 300; ++i)
        many += "A: b\r\n";
    EXPECT_EQ(read(many + "\r\n").error, "malformed response: it has more than 256 headers");
    std::string interim;
    for (int i = 0; i < 9; ++i)
        interim += "HTTP/1.1 100 C\r\n\r\n";
    EXPECT_EQ(read(interim).error, "malformed response: more than 8 interim answers");
}

TEST(ClientParser, SaysWhereAResponseWasCut) {
    for (const std::string_view text : {kWhole[0], kWhole[2], kWhole[3], kWhole[5]}) {
        for (size_t i = 0; i < text.size(); ++i)
            EXPECT_NE(read(text.substr(0, i)).error, "") << text.substr(0, i);
    }
    EXPECT_EQ(read(std::string_view(kWhole[0]).substr(0, 41)).error,
              "the response was cut: 2 bytes of its body are missing");
}

// Random bytes put into whole responses never do more than give an error.
TEST(ClientParser, SurvivesMutants) {
    std::mt19937 random(7);
    for (int i = 0; i < 20'000; ++i) {
        std::string text = kWhole[random() % std::size(kWhole)];
        for (uint32_t n = random() % 4 + 1; n > 0; --n)
            text[random() % text.size()] = static_cast<char>(random());
        const size_t cut = random() % text.size();
        const Reading whole = read(text), pieces = read(text, {cut});
        EXPECT_EQ(pieces.error.empty(), whole.error.empty()) << text;
        if (whole.error.empty()) {
            EXPECT_EQ(pieces, whole) << text;
        }
    }
}

}  // namespace
}  // namespace tenon::net
