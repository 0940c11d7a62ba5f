// Reads one HTTP/1.1 request out of bytes as they come: strict, bounded, no sockets, no clocks.
//
// The verdict depends on the bytes alone, not on how they are cut: each line is judged when it is
// complete, or refused as soon as it is too long. Where a lenient reader and a strict one could see
// two different requests, the request is refused (400) and the connection must close.
#pragma once

#include "core/config/limits.h"
#include "core/net/http.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::net {

// Decodes the path of a target once. Nothing for what could name another route in disguise: a bad
// escape, "%2f", "%5c", "\", "//", a "." or ".." segment however written, control characters, text
// that is not UTF-8.
std::optional<std::string> decode_path(std::string_view encoded);

// Thread-compatible. `limits` outlives it.
class RequestParser {
public:
    enum class State {
        kHead,      // wants more bytes of the head
        kHeadDone,  // stopped behind the head: judge it, then call start_body()
        kBody,      // wants more bytes of the body
        kDone,      // the request is complete; the next byte belongs to the next one
        kError,     // error_status() and error_text() say why; close the connection
    };

    explicit RequestParser(const config::Limits& limits);
    explicit RequestParser(config::Limits&&) = delete;

    // Takes bytes until the state changes to one that wants none; returns how many it took.
    size_t feed(std::string_view bytes);
    // After kHeadDone: reads a body of at most `body_bytes`.
    void start_body(uint32_t body_bytes);

    State state() const noexcept { return state_; }
    // True once a byte of the request was seen.
    bool has_begun() const noexcept { return has_begun_; }
    int error_status() const noexcept { return error_status_; }
    const std::string& error_text() const noexcept { return error_text_; }

    // Complete at kDone; all but the body at kHeadDone. Move out of it at kDone.
    HttpRequest& request() noexcept { return request_; }
    // Facts of the head.
    bool has_body() const noexcept { return is_chunked_ || content_length_ > 0; }
    bool expects_continue() const noexcept { return expects_continue_; }
    // Whether the body is `bytes` long at most, as its head says.
    bool body_fits(uint64_t bytes) const noexcept {
        return !is_chunked_ && content_length_ <= bytes;
    }
    bool keep_alive() const noexcept { return keep_alive_; }
    bool is_http_1_0() const noexcept { return is_http_1_0_; }
    // Bytes of the body read so far, framing included.
    uint64_t body_received() const noexcept { return body_received_; }

private:
    enum class Part {
        kRequestLine,
        kHeader,
        kFixedBody,
        kChunkSize,
        kChunkData,
        kChunkEnd,
        kTrailer,
    };

    void fail(int status, std::string text);
    size_t feed_line(std::string_view bytes);
    size_t feed_data(std::string_view bytes);
    uint32_t line_limit() const noexcept;
    void fail_long_line();
    void take_line(std::string_view line);
    void take_request_line(std::string_view line);
    void take_target(std::string_view target);
    void take_header(std::string_view line);
    void take_chunk_size(std::string_view line);
    void take_trailer(std::string_view line);
    // The checks that need all headers.
    void end_head();
    void check_host();
    void check_connection();
    void check_framing();
    void check_content();

    const config::Limits& limits_;
    State state_ = State::kHead;
    Part part_ = Part::kRequestLine;
    bool has_begun_ = false, skipped_empty_line_ = false;
    bool is_chunked_ = false, expects_continue_ = false, keep_alive_ = true, is_http_1_0_ = false;
    HttpRequest request_;
    std::string authority_;  // of an absolute target
    std::string line_;       // the unfinished line
    uint32_t headers_bytes_ = 0, trailers_bytes_ = 0, trailers_count_ = 0, chunks_ = 0;
    uint64_t content_length_ = 0, rest_ = 0, body_received_ = 0;
    uint32_t body_bytes_ = 0;
    int error_status_ = 0;
    std::string error_text_;
};

}  // namespace tenon::net
