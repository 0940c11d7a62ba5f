#include "core/net/client_parser.h"

#include "core/net/client_fields.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace tenon::net {

using client_fields::has_token;
using client_fields::is_text;
using client_fields::same;
using client_fields::trim;

namespace {

Error malformed(std::string what) {
    return Error{Code::kData, "malformed response: " + std::move(what)};
}

std::optional<uint64_t> number(std::string_view digits, int base) {
    uint64_t value = 0;
    const char* last = digits.data() + digits.size();
    const auto [end, error] = std::from_chars(digits.data(), last, value, base);
    if (digits.empty() || error != std::errc{} || end != last) return std::nullopt;
    return value;
}

}  // namespace

Result<ResponseParser::Piece> ResponseParser::next(std::string_view& bytes) {
    has_begun_ = has_begun_ || !bytes.empty();
    if (state_ == State::kHead) return take_head(bytes);
    return take_body(bytes);
}

Result<ResponseParser::Piece> ResponseParser::take_head(std::string_view& bytes) {
    while (true) {
        const size_t before = head_.size();
        const size_t room = limits_.head_bytes - std::min<size_t>(before, limits_.head_bytes);
        head_.append(bytes.substr(0, room));
        const size_t end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
        if (end == std::string::npos) {
            if (bytes.size() > room || head_.size() >= limits_.head_bytes) {
                return malformed(
                    fmt::format("its head has more than {} bytes", limits_.head_bytes));
            }
            // A peer that talks something else is found out at its first bytes.
            const std::string_view magic = "HTTP/1.";
            const size_t shown = std::min(magic.size(), head_.size());
            if (std::string_view(head_).substr(0, shown) != magic.substr(0, shown)) {
                return malformed("it does not start with HTTP/1.");
            }
            bytes = {};
            return Piece::kMore;
        }
        bytes.remove_prefix(end + 4 - before);
        TENON_CHECK(read_head(std::string_view(head_).substr(0, end + 2)));
        head_.clear();
        if (status_ >= 200) break;
        if (status_ == 101) return malformed("status 101 was not asked for");
        if (++interim_ > limits_.interim) {
            return malformed(fmt::format("more than {} interim answers", limits_.interim));
        }
        headers_ = {};
    }
    TENON_CHECK(read_framing());
    return Piece::kHead;
}

Status ResponseParser::read_head(std::string_view head) {
    size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    const bool is_status = line.size() >= 12 && line.substr(0, 7) == "HTTP/1." &&
                           (line[7] == '0' || line[7] == '1') && line[8] == ' ' && line[9] >= '1' &&
                           line[9] <= '5' && (line.size() == 12 || line[12] == ' ') &&
                           is_text(line);
    const std::optional<uint64_t> status = is_status ? number(line.substr(9, 3), 10) : std::nullopt;
    if (!status.has_value()) {
        return malformed("expected a status line such as 'HTTP/1.1 200 OK'");
    }
    status_ = static_cast<int>(*status);
    is_http10_ = line[7] == '0';
    for (size_t at = end + 2; at < head.size(); at = end + 2) {
        end = head.find("\r\n", at);
        TENON_CHECK(read_header(head.substr(at, end - at)));
    }
    return {};
}

Status ResponseParser::read_header(std::string_view line) {
    const size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (colon == std::string_view::npos || !client_fields::is_token(name)) {
        return malformed("a header is not 'Name: value'");
    }
    const std::string_view value = trim(line.substr(colon + 1));
    if (!is_text(value)) return malformed(fmt::format("header {} has a control character", name));
    if (headers_.all().size() >= limits_.headers) {
        return malformed(fmt::format("it has more than {} headers", limits_.headers));
    }
    headers_.add(std::string(name), std::string(value));
    return {};
}

Status ResponseParser::read_framing() {
    const std::string* coding = nullptr;
    std::optional<uint64_t> length;
    for (const Header& header : headers_.all()) {
        if (same(header.name, "Transfer-Encoding")) {
            if (coding != nullptr) return malformed("several Transfer-Encoding headers");
            coding = &header.value;
        } else if (same(header.name, "Content-Length")) {
            const std::optional<uint64_t> value = number(header.value, 10);
            if (!value.has_value() || (length.has_value() && *length != *value)) {
                return malformed("Content-Length is not one whole number");
            }
            length = value;
        }
    }
    keep_alive_ = !has_token(headers_, "Connection", "close") &&
                  (!is_http10_ || has_token(headers_, "Connection", "keep-alive"));
    if (coding != nullptr && (length.has_value() || is_http10_ || !same(*coding, "chunked"))) {
        return malformed(
            "expected Transfer-Encoding to be 'chunked', in HTTP/1.1 and without Content-Length");
    }
    if (is_head_ || status_ == 204 || status_ == 304) {
        state_ = State::kEnd;
    } else if (coding != nullptr) {
        state_ = State::kChunkSize;
    } else if (length.has_value()) {
        left_ = *length;
        state_ = State::kLength;
    } else {
        keep_alive_ = false;
        state_ = State::kUntilClose;
    }
    return {};
}

Result<ResponseParser::Piece> ResponseParser::take_body(std::string_view& bytes) {
    while (true) {
        switch (state_) {
            case State::kHead:
            case State::kEnd: return Piece::kEnd;
            case State::kUntilClose:
                if (bytes.empty()) return Piece::kMore;
                body_ = bytes;
                bytes = {};
                return Piece::kBody;
            case State::kLength:
            case State::kChunk:
                if (left_ == 0) {
                    state_ = state_ == State::kLength ? State::kEnd : State::kChunkEnd;
                    continue;
                }
                if (bytes.empty()) return Piece::kMore;
                body_ = bytes.substr(0, std::min<uint64_t>(left_, bytes.size()));
                bytes.remove_prefix(body_.size());
                left_ -= body_.size();
                return Piece::kBody;
            case State::kChunkSize: {
                TENON_TRY(const bool done,
                          take_line(bytes, limits_.chunk_line_bytes, "chunk size"));
                if (!done) return Piece::kMore;
                TENON_CHECK(read_chunk_size());
                line_.clear();
                state_ = left_ == 0 ? State::kTrailer : State::kChunk;
                continue;
            }
            case State::kChunkEnd: {
                TENON_TRY(const bool done, take_line(bytes, 2, "end of a chunk"));
                if (!done) return Piece::kMore;
                if (!line_.empty()) return malformed("a chunk is longer than its size");
                state_ = State::kChunkSize;
                continue;
            }
            case State::kTrailer: {
                TENON_TRY(const bool done,
                          take_line(bytes, limits_.head_bytes - trailer_bytes_, "trailers"));
                if (!done) return Piece::kMore;
                if (line_.empty()) {
                    state_ = State::kEnd;
                    continue;
                }
                trailer_bytes_ += line_.size() + 2;
                if (line_.find(':') == std::string::npos || !is_text(line_)) {
                    return malformed("a trailer is not 'Name: value'");
                }
                line_.clear();
                continue;
            }
        }
    }
}

Result<bool> ResponseParser::take_line(std::string_view& bytes, size_t limit, const char* what) {
    const size_t end = bytes.find('\n');
    const size_t taken = end == std::string_view::npos ? bytes.size() : end + 1;
    if (line_.size() + taken > limit) {
        return malformed(fmt::format("the line of its {} has more than {} bytes", what, limit));
    }
    line_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (end == std::string_view::npos) return false;
    if (line_.size() < 2 || line_[line_.size() - 2] != '\r') {
        return malformed(fmt::format("the line of its {} ends without CR", what));
    }
    line_.resize(line_.size() - 2);
    return true;
}

Status ResponseParser::read_chunk_size() {
    const std::string_view line = line_;
    const std::string_view digits = trim(line.substr(0, line.find(';')));
    const bool is_hex = !digits.empty() && digits.size() <= 16 && digits.data() == line.data();
    const std::optional<uint64_t> size = is_hex ? number(digits, 16) : std::nullopt;
    if (!size.has_value() || !is_text(line)) return malformed("a chunk size is not a hex number");
    left_ = *size;
    return {};
}

Status ResponseParser::finish() const {
    switch (state_) {
        case State::kUntilClose:
        case State::kEnd: return {};
        case State::kHead:
            return Error{Code::kData, has_begun_
                                          ? "the connection closed inside the response's head"
                                          : "the connection closed before the response"};
        case State::kLength:
            return Error{
                Code::kData,
                fmt::format("the response was cut: {} bytes of its body are missing", left_)};
        default: return Error{Code::kData, "the response was cut inside its chunks"};
    }
}

}  // namespace tenon::net
