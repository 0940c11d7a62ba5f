// Bytes -> HTTP requests of one connection. Oracle beside "no crash": the first byte says where the
// bytes are cut a second time, and the verdict is the same; a path has no trick in it.
#include "core/net/server_parser.h"

#include <cstdlib>
#include <string>

namespace {

using tenon::net::RequestParser;

// Everything that was understood, as text.
std::string read_all(std::string_view bytes, size_t piece) {
    tenon::config::Limits limits;
    limits.body_bytes = 4096;
    limits.chunks_count = 64;
    std::string seen;
    size_t at = 0;
    while (at < bytes.size()) {
        RequestParser parser(limits);
        while (at < bytes.size() && parser.state() != RequestParser::State::kDone) {
            at += parser.feed(bytes.substr(at, piece));
            if (parser.state() == RequestParser::State::kHeadDone) {
                parser.start_body(limits.body_bytes);
            }
            if (parser.state() == RequestParser::State::kError) {
                return seen + std::to_string(parser.error_status()) + parser.error_text();
            }
        }
        if (parser.state() != RequestParser::State::kDone) break;
        const tenon::net::HttpRequest& request = parser.request();
        const std::string& path = request.path;
        if (path.find("//") != std::string::npos || path.find('\\') != std::string::npos ||
            path.find('\0') != std::string::npos || path.find("/../") != std::string::npos ||
            request.body.size() > limits.body_bytes) {
            std::abort();
        }
        seen += request.method + " " + path + "?" + request.query + "\n" + request.body + "\n";
        for (const auto& header : request.headers.all())
            seen += header.name + header.value;
    }
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1 || size > 64 * 1024) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const size_t piece = size_t{data[0]} % 32 + 1;
    if (read_all(bytes, bytes.size() + 1) != read_all(bytes, piece)) std::abort();
    return 0;
}
