// Reads one HTTP/1.1 response from bytes that come in pieces of any size. No I/O.
//
// Strict where a lenient reader could be made to disagree with another one on where a response
// ends: bare LF, folded headers, Content-Length beside Transfer-Encoding, signs and spaces in
// lengths are refused.
#pragma once

#include "core/base/result.h"
#include "core/net/http.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::net {

class ResponseParser {
public:
    struct Limits {
        uint32_t head_bytes = 64 << 10;  // status line and headers; trailers too
        uint32_t headers = 256;
        uint32_t interim = 8;  // 1xx responses before the final one
        uint32_t chunk_line_bytes = 1 << 10;
    };

    // `is_head`: the answer to a HEAD request, which has no body whatever its headers say.
    explicit ResponseParser(bool is_head) : ResponseParser(is_head, Limits{}) {}
    ResponseParser(bool is_head, Limits limits) : limits_(limits), is_head_(is_head) {}

    enum class Piece { kMore, kHead, kBody, kEnd };
    // Takes bytes from the front of `bytes` up to the next piece. kMore: all were taken. kBody: the
    // piece is body(), valid as long as the bytes are. kEnd leaves what follows the response. kData
    // says what is malformed; the parser is then of no further use.
    Result<Piece> next(std::string_view& bytes);
    // The peer closed: whether that ends the response. kData says where it was cut.
    Status finish() const;

    int status() const noexcept { return status_; }
    Headers& headers() noexcept { return headers_; }
    std::string_view body() const noexcept { return body_; }
    // Any byte of a response was taken.
    bool has_begun() const noexcept { return has_begun_; }
    // After kEnd: the connection may carry another request.
    bool keeps_alive() const noexcept { return keep_alive_ && state_ == State::kEnd; }

private:
    enum class State { kHead, kLength, kChunkSize, kChunk, kChunkEnd, kTrailer, kUntilClose, kEnd };

    Result<Piece> take_head(std::string_view& bytes);
    Result<Piece> take_body(std::string_view& bytes);
    // Moves one CRLF line into line_; false: more bytes are needed.
    Result<bool> take_line(std::string_view& bytes, size_t limit, const char* what);
    Status read_head(std::string_view head);
    Status read_header(std::string_view line);
    Status read_framing();
    Status read_chunk_size();

    Limits limits_;
    bool is_head_, has_begun_ = false, keep_alive_ = false, is_http10_ = false;
    State state_ = State::kHead;
    int status_ = 0;
    uint32_t interim_ = 0;
    uint64_t left_ = 0;  // bytes of the body or of the chunk
    size_t trailer_bytes_ = 0;
    std::string head_, line_;
    Headers headers_;
    std::string_view body_;
};

}  // namespace tenon::net
