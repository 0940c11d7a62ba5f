#include "core/net/server_parser.h"

#include <gtest/gtest.h>

namespace tenon::net {
namespace {

struct Verdict {
    RequestParser::State state;
    int status;
    std::string text, method, target, path, query, body;
    size_t headers, taken;
    bool operator==(const Verdict&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Verdict& v) {
    return out << "state " << static_cast<int>(v.state) << " status " << v.status << " " << v.text
               << " " << v.method << " " << v.path << " body " << v.body.size() << " taken "
               << v.taken;
}

config::Limits small_limits() {
    config::Limits limits;
    limits.request_line_bytes = 60;
    limits.header_bytes = 80;
    limits.headers_bytes = 200;
    limits.headers_count = 6;
    limits.body_bytes = 64;
    limits.chunk_extension_bytes = 8;
    limits.chunks_count = 4;
    limits.trailers_bytes = 20;
    return limits;
}

// Feeds `bytes` in pieces that end at `cuts`.
Verdict parse(std::string_view bytes, const config::Limits& limits,
              const std::vector<size_t>& cuts = {}) {
    RequestParser parser(limits);
    size_t at = 0, taken = 0;
    std::vector<size_t> ends = cuts;
    ends.push_back(bytes.size());
    for (const size_t end : ends) {
        while (at < end) {
            const size_t used = parser.feed(bytes.substr(at, end - at));
            at += used;
            taken += used;
            if (parser.state() == RequestParser::State::kHeadDone) {
                parser.start_body(limits.body_bytes);
            }
            if (parser.state() == RequestParser::State::kDone ||
                parser.state() == RequestParser::State::kError) {
                const HttpRequest& r = parser.request();
                // Where an error was found in the bytes may depend on the cut; the verdict may not.
                const bool is_error = parser.state() == RequestParser::State::kError;
                return {parser.state(),
                        parser.error_status(),
                        parser.error_text(),
                        r.method,
                        r.target,
                        r.path,
                        r.query,
                        r.body,
                        r.headers.all().size(),
                        is_error ? 0 : taken};
            }
        }
    }
    const HttpRequest& r = parser.request();
    return {parser.state(),         0,    "", r.method, r.target, r.path, r.query, r.body,
            r.headers.all().size(), taken};
}

Verdict parse(std::string_view bytes) { return parse(bytes, config::Limits{}); }

std::string with_headers(std::string_view headers, std::string_view body = {}) {
    std::string bytes = "POST /p HTTP/1.1\r\nHost: h\r\n";
    return bytes.append(headers).append("\r\n").append(body);
}
std::string chunked(std::string_view body) {
    return with_headers("Transfer-Encoding: chunked\r\n", body);
}

TEST(RequestParser, ReadsARequest) {
    const Verdict got = parse(
        "POST /v1/chat%20x?a=%2f HTTP/1.1\r\nHost: example.org:80\r\n"
        "Content-Length: 5\r\nX-A:  b c\t\r\n\r\nhelloGET /");
    EXPECT_EQ(got.state, RequestParser::State::kDone);
    EXPECT_EQ(got.method, "POST");
    EXPECT_EQ(got.path, "/v1/chat x");
    EXPECT_EQ(got.query, "a=%2f");
    EXPECT_EQ(got.body, "hello");
    EXPECT_EQ(got.headers, 3u);
}

TEST(RequestParser, StopsBehindTheRequest) {
    const std::string one = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    EXPECT_EQ(parse(one + one).taken, one.size());
    EXPECT_EQ(parse("\r\n" + one).state, RequestParser::State::kDone);
    EXPECT_EQ(parse("\r\n\r\n" + one).status, 400);
}

TEST(RequestParser, ReadsChunks) {
    const Verdict got =
        parse(chunked("5;a=b\r\nhello\r\n00000001\r\n!\r\n0\r\nX-T: 1\r\n\r\nrest"));
    EXPECT_EQ(got.state, RequestParser::State::kDone);
    EXPECT_EQ(got.body, "hello!");
    EXPECT_EQ(got.headers, 2u);  // a trailer is no header
}

struct Bad {
    std::string bytes;
    int status;
};

// Everything that two readers could understand in two ways, and everything over a limit.
std::vector<Bad> bad_requests() {
    const std::string head = "GET / HTTP/1.1\r\nHost: h\r\n";
    std::vector<Bad> all = {
        {"GET / HTTP/1.1\nHost: h\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
        {" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"get / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\n", 505},
        {"GET / HTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET /\r\nHost: h\r\n\r\n", 400},
        {"\x16\x03\x01\x02", 400},
        {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET /a\x80 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400},
        {head + "X-A : b\r\n\r\n", 400},
        {head + "X A: b\r\n\r\n", 400},
        {head + ": b\r\n\r\n", 400},
        {head + "novalue\r\n\r\n", 400},
        {head + "X-A: b\r\n folded\r\n\r\n", 400},
        {head + "X-A: b\rc\r\n\r\n", 400},
        {head + std::string("X-A: b\0c\r\n\r\n", 12), 400},
        {head + std::string("X\0A: b\r\n\r\n", 10), 400},
        {head + "Expect: nothing\r\n\r\n", 417},
        {with_headers("Content-Encoding: gzip\r\nContent-Length: 1\r\n", "x"), 415},
        {with_headers("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
        {with_headers("Content-Length: 1\r\nContent-Length: 1\r\n", "x"), 400},
        {with_headers("Content-Length: 1, 1\r\n", "x"), 400},
        {with_headers("Content-Length: +1\r\n", "x"), 400},
        {with_headers("Content-Length: -1\r\n", "x"), 400},
        {with_headers("Content-Length: 0x1\r\n", "x"), 400},
        {with_headers("Content-Length:\r\n", "x"), 400},
        {with_headers("Content-Length: 99999999999999999999999\r\n", "x"), 413},
        {with_headers("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
        {with_headers("Transfer-Encoding: gzip, chunked\r\n"), 501},
        {with_headers("Transfer-Encoding: identity\r\n"), 501},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    };
    for (const char* size : {"-2", "0x5", "123456789", " 5", "5 ", "", "g", "5 ;a", "+5"}) {
        all.push_back({chunked(std::string(size) + "\r\nhello\r\n0\r\n\r\n"), 400});
    }
    all.push_back({chunked("5\nhello\r\n0\r\n\r\n"), 400});
    all.push_back({chunked("5\r\nhello0\r\n\r\n"), 400});
    all.push_back({chunked("5\r\nhello\n0\r\n\r\n"), 400});
    all.push_back({chunked("4\r\nhello\r\n0\r\n\r\n"), 400});
    all.push_back({chunked("0\r\nbad trailer\r\n\r\n"), 400});
    for (const char* path :
         {"//", "/a//b", "/./a", "/a/..", "/../a", "/%2e%2e/a", "/%2E/a", "/a%2fb", "/a%5cb",
          "/a\\b", "/%00", "/a%0ab", "/%", "/%1", "/%zz", "/%ff", "a", "*", "/a%7f"}) {
        all.push_back({std::string("GET ") + path + " HTTP/1.1\r\nHost: h\r\n\r\n", 400});
    }
    return all;
}

TEST(RequestParser, RefusesWhatIsAmbiguous) {
    for (const Bad& bad : bad_requests()) {
        const Verdict got = parse(bad.bytes);
        EXPECT_EQ(got.status, bad.status) << bad.bytes << " -> " << got;
        EXPECT_FALSE(got.status != 0 && got.text.empty());
    }
}

TEST(RequestParser, KeepsEachLimit) {
    const config::Limits limits = small_limits();
    const auto status = [&](const std::string& bytes) { return parse(bytes, limits).status; };
    const auto line = [](size_t length) {
        const std::string rest = "GET / HTTP/1.1";
        return "GET /" + std::string(length - rest.size(), 'a') + " HTTP/1.1\r\n";
    };
    EXPECT_EQ(status(line(60) + "Host: h\r\n\r\n"), 0);
    EXPECT_EQ(status(line(61) + "Host: h\r\n\r\n"), 414);
    EXPECT_EQ(status("GET /" + std::string(100, 'a')), 414);
    const std::string head = "GET / HTTP/1.1\r\nHost: h\r\n";
    EXPECT_EQ(status(head + "A: " + std::string(77, 'a') + "\r\n\r\n"), 0);
    EXPECT_EQ(status(head + "A: " + std::string(78, 'a') + "\r\n\r\n"), 431);
    EXPECT_EQ(status(head + "A: " + std::string(90, 'a')), 431);
    const std::string big = ": " + std::string(70, 'a') + "\r\n";
    EXPECT_EQ(status(head + "A" + big + "B" + big + "\r\n"), 0);
    EXPECT_EQ(status(head + "A" + big + "B" + big + "C" + big + "\r\n"), 431);
    std::string many;
    for (int i = 0; i < 5; ++i)
        many += "A: b\r\n";
    EXPECT_EQ(status(head + many + "\r\n"), 0);
    EXPECT_EQ(status(head + many + "A: b\r\n\r\n"), 431);

    EXPECT_EQ(status(with_headers("Content-Length: 64\r\n", std::string(64, 'x'))), 0);
    EXPECT_EQ(status(with_headers("Content-Length: 65\r\n")), 413);  // before a byte of it
    EXPECT_EQ(status(chunked("40\r\n" + std::string(64, 'x') + "\r\n0\r\n\r\n")), 0);
    EXPECT_EQ(status(chunked("41\r\n")), 413);
    EXPECT_EQ(status(chunked("1\r\nx\r\n40\r\n")), 413);
    EXPECT_EQ(status(chunked("ffffffff\r\n")), 413);
    EXPECT_EQ(status(chunked("1;234567\r\nx\r\n0\r\n\r\n")), 0);
    EXPECT_EQ(status(chunked("1;23456789\r\nx\r\n0\r\n\r\n")), 400);
    EXPECT_EQ(status(chunked("1;" + std::string(200, 'x'))), 400);
    const std::string one = "1\r\nx\r\n";
    EXPECT_EQ(status(chunked(one + one + one + one + "0\r\n\r\n")), 0);
    EXPECT_EQ(status(chunked(one + one + one + one + one)), 400);
    EXPECT_EQ(status(chunked("0\r\nA: " + std::string(17, 'x') + "\r\n\r\n")), 0);
    EXPECT_EQ(status(chunked("0\r\nA: " + std::string(18, 'x') + "\r\n\r\n")), 431);
    EXPECT_EQ(status(chunked("0\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n")), 431);
}

TEST(RequestParser, TheVerdictDoesNotDependOnTheCut) {
    std::vector<std::string> all = {
        "POST /p?q HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        chunked("5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\nrest"),
        "GET /" + std::string(80, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(100, 'a') + "\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(79, 'a') + "\r\r\n\r\n",
    };
    for (Bad& bad : bad_requests())
        all.push_back(std::move(bad.bytes));
    const config::Limits limits = small_limits();
    for (const std::string& bytes : all) {
        const Verdict whole = parse(bytes, limits);
        std::vector<size_t> every;
        for (size_t cut = 1; cut < bytes.size(); ++cut) {
            every.push_back(cut);
            EXPECT_EQ(parse(bytes, limits, {cut}), whole) << bytes << "\ncut at " << cut;
        }
        EXPECT_EQ(parse(bytes, limits, every), whole) << bytes << "\nbyte by byte";
    }
}

TEST(RequestParser, AFloodOfSmallChunksKeepsNothing) {
    const config::Limits limits;
    RequestParser parser(limits);
    std::string head = chunked("");
    parser.feed(head);
    parser.start_body(8 << 20);
    const std::string one = "1\r\nx\r\n";
    size_t fed = 0;
    while (parser.state() == RequestParser::State::kBody && fed < 3'000'000) {
        fed += parser.feed(one);
    }
    EXPECT_EQ(parser.error_status(), 400);
    EXPECT_LE(parser.request().body.size(), config::Limits().chunks_count);
}

TEST(DecodePath, DecodesOnce) {
    EXPECT_EQ(decode_path("/a%20b/%252e"), "/a b/%2e");
    EXPECT_EQ(decode_path("/v1/models/"), "/v1/models/");
    EXPECT_EQ(decode_path("/%c3%a9"), "/\xc3\xa9");
    EXPECT_EQ(decode_path("/..a/a..b/.x"), "/..a/a..b/.x");
    EXPECT_EQ(decode_path("/%ed%a0%80"), std::nullopt);
    EXPECT_EQ(decode_path(""), std::nullopt);
}

}  // namespace
}  // namespace tenon::net
