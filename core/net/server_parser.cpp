#include "core/net/server_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace tenon::net {
namespace {

bool is_alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// tchar of RFC 9110 5.6.2.
bool is_token(char c) noexcept {
    return is_alpha(c) || is_digit(c) || (c != 0 && std::strchr("!#$%&'*+-.^_`|~", c) != nullptr);
}

// field-vchar, space and tab; bytes above 127 are passed on.
bool is_field_text(char c) noexcept {
    const auto byte = static_cast<unsigned char>(c);
    return c == '\t' || (byte >= 0x20 && byte != 0x7f);
}

int hex_value(char c) noexcept {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

std::string_view trim(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

// RFC 3629: shortest form, no surrogates, at most U+10FFFF.
bool is_utf8(std::string_view text) noexcept {
    for (size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        if (lead < 0x80) {
            ++i;
            continue;
        }
        const int length = lead >= 0xc2 && lead < 0xe0   ? 2
                           : lead >= 0xe0 && lead < 0xf0 ? 3
                           : lead >= 0xf0 && lead < 0xf5 ? 4
                                                         : 0;
        if (length == 0 || i + static_cast<size_t>(length) > text.size()) return false;
        uint32_t point = lead & (0x7fU >> length);
        for (int k = 1; k < length; ++k) {
            const auto byte = static_cast<unsigned char>(text[i + static_cast<size_t>(k)]);
            if ((byte & 0xc0) != 0x80) return false;
            point = point << 6 | (byte & 0x3f);
        }
        if (length == 3 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) return false;
        if (length == 4 && (point < 0x10000 || point > 0x10ffff)) return false;
        i += static_cast<size_t>(length);
    }
    return true;
}

// uri-host [ ":" port ]: a name or IPv4 address, or an IPv6 address in brackets.
bool is_host(std::string_view host) noexcept {
    size_t end = 0;
    if (!host.empty() && host.front() == '[') {
        end = host.find(']');
        if (end == std::string_view::npos || end < 3) return false;
        for (const char c : host.substr(1, end - 1)) {
            if (hex_value(c) < 0 && c != ':' && c != '.') return false;
        }
        ++end;
    } else {
        while (end < host.size() && (is_alpha(host[end]) || is_digit(host[end]) ||
                                     host[end] == '.' || host[end] == '-' || host[end] == '_')) {
            ++end;
        }
        if (end == 0) return false;
    }
    if (end == host.size()) return true;
    const std::string_view port = host.substr(end + 1);
    if (host[end] != ':' || port.empty() || port.size() > 5) return false;
    uint32_t number = 0;
    for (const char c : port) {
        if (!is_digit(c)) return false;
        number = number * 10 + static_cast<uint32_t>(c - '0');
    }
    return number <= 65'535;
}

}  // namespace

std::optional<std::string> decode_path(std::string_view encoded) {
    if (encoded.empty() || encoded.front() != '/') return std::nullopt;
    std::string path;
    path.reserve(encoded.size());
    for (size_t i = 0; i < encoded.size(); ++i) {
        char c = encoded[i];
        if (c == '%') {
            if (i + 2 >= encoded.size()) return std::nullopt;
            const int high = hex_value(encoded[i + 1]), low = hex_value(encoded[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            c = static_cast<char>(high << 4 | low);
            if (c == '/') return std::nullopt;
            i += 2;
        }
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || c == '\\') return std::nullopt;
        path.push_back(c);
    }
    for (size_t begin = 1; begin <= path.size();) {
        const size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view segment = std::string_view(path).substr(begin, end - begin);
        if (segment == "." || segment == "..") return std::nullopt;
        if (segment.empty() && end < path.size()) return std::nullopt;
        begin = end + 1;
    }
    if (!is_utf8(path)) return std::nullopt;
    return path;
}

RequestParser::RequestParser(const config::Limits& limits) : limits_(limits) {}

void RequestParser::fail(int status, std::string text) {
    state_ = State::kError;
    error_status_ = status;
    error_text_ = std::move(text);
    line_ = {};
}

size_t RequestParser::feed(std::string_view bytes) {
    size_t taken = 0;
    while (taken < bytes.size() && (state_ == State::kHead || state_ == State::kBody)) {
        const std::string_view rest = bytes.substr(taken);
        const bool is_data = part_ == Part::kFixedBody || part_ == Part::kChunkData;
        const bool in_body = state_ == State::kBody;
        const size_t used = is_data ? feed_data(rest) : feed_line(rest);
        if (in_body) body_received_ += used;
        taken += used;
    }
    return taken;
}

uint32_t RequestParser::line_limit() const noexcept {
    switch (part_) {
        case Part::kRequestLine: return limits_.request_line_bytes;
        case Part::kHeader:
            return std::min(limits_.header_bytes, limits_.headers_bytes - headers_bytes_);
        case Part::kChunkSize: return 8 + limits_.chunk_extension_bytes;
        case Part::kTrailer: return limits_.trailers_bytes - trailers_bytes_;
        default: return 0;
    }
}

void RequestParser::fail_long_line() {
    switch (part_) {
        case Part::kRequestLine:
            return fail(414, fmt::format("The request line is longer than {} bytes.",
                                         limits_.request_line_bytes));
        case Part::kHeader:
            if (line_limit() == limits_.header_bytes) {
                return fail(431,
                            fmt::format("A header is longer than {} bytes.", limits_.header_bytes));
            }
            return fail(431, fmt::format("The headers are together longer than {} bytes.",
                                         limits_.headers_bytes));
        case Part::kChunkSize:
            return fail(400, fmt::format("A chunk's size and extension are longer than {} bytes.",
                                         line_limit()));
        case Part::kTrailer:
            return fail(431, fmt::format("The trailers are together longer than {} bytes.",
                                         limits_.trailers_bytes));
        default: return fail(400, "A chunk is longer than its size says.");
    }
}

size_t RequestParser::feed_line(std::string_view bytes) {
    if (!has_begun_) {
        has_begun_ = true;
        if (!is_token(bytes.front()) && bytes.front() != '\r') {
            fail(400, "The first byte is not the start of an HTTP request.");
            return 1;
        }
    }
    // The limit is the line's without its CR LF, so one byte more may be a CR.
    const size_t limit = line_limit();
    const size_t window = std::min(bytes.size(), limit + 2 - std::min(line_.size(), limit + 2));
    const void* found = window == 0 ? nullptr : std::memchr(bytes.data(), '\n', window);
    if (found == nullptr) {
        line_.append(bytes.substr(0, window));
        if (line_.size() > limit + 1) fail_long_line();
        return window;
    }
    const size_t length = static_cast<size_t>(static_cast<const char*>(found) - bytes.data());
    std::string_view line = bytes.substr(0, length);
    if (!line_.empty()) {
        line_.append(line);
        line = line_;
    }
    const bool has_cr = !line.empty() && line.back() == '\r';
    if (has_cr) line.remove_suffix(1);
    if (line.size() > limit) {
        fail_long_line();
    } else if (!has_cr) {
        fail(400, "A line ends in LF without CR.");
    } else {
        take_line(line);
    }
    line_.clear();
    return length + 1;
}

size_t RequestParser::feed_data(std::string_view bytes) {
    const size_t used = static_cast<size_t>(std::min<uint64_t>(bytes.size(), rest_));
    request_.body.append(bytes.substr(0, used));
    rest_ -= used;
    if (rest_ == 0) {
        if (part_ == Part::kFixedBody) {
            state_ = State::kDone;
        } else {
            part_ = Part::kChunkEnd;
        }
    }
    return used;
}

void RequestParser::take_line(std::string_view line) {
    switch (part_) {
        case Part::kRequestLine: return take_request_line(line);
        case Part::kHeader: return line.empty() ? end_head() : take_header(line);
        case Part::kChunkSize: return take_chunk_size(line);
        case Part::kChunkEnd: part_ = Part::kChunkSize; return;
        case Part::kTrailer:
            if (line.empty()) {
                state_ = State::kDone;
            } else {
                take_trailer(line);
            }
            return;
        default: return;
    }
}

void RequestParser::take_request_line(std::string_view line) {
    if (line.empty() && !skipped_empty_line_) {  // RFC 9112 2.2: one may stand before a request
        skipped_empty_line_ = true;
        return;
    }
    const size_t first = line.find(' ');
    const size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last || first == 0) {
        return fail(400, "The request line is not 'METHOD target HTTP/1.1'.");
    }
    const std::string_view method = line.substr(0, first);
    const std::string_view target = line.substr(first + 1, last - first - 1);
    const std::string_view version = line.substr(last + 1);
    for (const char c : method) {
        if (!is_token(c) || (c >= 'a' && c <= 'z')) {
            return fail(400, "The method of the request line is not a word in upper case.");
        }
    }
    if (version != "HTTP/1.1" && version != "HTTP/1.0") {
        const bool is_other = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                              is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
        return fail(is_other ? 505 : 400, "The request is not HTTP/1.1 or HTTP/1.0.");
    }
    for (const char c : target) {
        if (c <= ' ' || c >= 0x7f || c == '#') {
            return fail(400, "The target of the request holds a byte that must be escaped.");
        }
    }
    is_http_1_0_ = version == "HTTP/1.0";
    request_.method = method;
    request_.target = target;
    part_ = Part::kHeader;
    take_target(target);
}

void RequestParser::take_target(std::string_view target) {
    if (target == "*" && request_.method == "OPTIONS") {
        request_.path.assign(1, '*');
        return;
    }
    const std::string scheme = lower(target.substr(0, 8));
    const size_t skip = scheme == "https://" ? 8 : scheme.compare(0, 7, "http://") == 0 ? 7 : 0;
    if (skip > 0) {
        const size_t end = std::min(target.find_first_of("/?", skip), target.size());
        authority_ = target.substr(skip, end - skip);
        target.remove_prefix(end);
        if (!is_host(authority_)) return fail(400, "The target names no valid host.");
    }
    const size_t question = target.find('?');
    std::string_view path = target.substr(0, question);
    if (question != std::string_view::npos) request_.query = target.substr(question + 1);
    if (skip > 0 && path.empty()) path = "/";
    std::optional<std::string> decoded = decode_path(path);
    if (!decoded) {
        return fail(400,
                    "The path is not in its plain form: it must start with '/' and hold no "
                    "empty, '.' or '..' segment, escaped slash, backslash or control "
                    "character.");
    }
    request_.path = std::move(*decoded);
}

void RequestParser::take_header(std::string_view line) {
    headers_bytes_ += static_cast<uint32_t>(line.size());
    if (request_.headers.all().size() >= limits_.headers_count) {
        return fail(431,
                    fmt::format("The request has more than {} headers.", limits_.headers_count));
    }
    if (line.front() == ' ' || line.front() == '\t') {
        return fail(400, "A header is folded over two lines.");
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) {
        return fail(400, "A header is not 'Name: value'.");
    }
    for (const char c : line.substr(0, colon)) {
        if (!is_token(c))
            return fail(400, "The name of a header holds a byte that is not allowed.");
    }
    const std::string_view value = trim(line.substr(colon + 1));
    for (const char c : value) {
        if (!is_field_text(c)) {
            return fail(400, "The value of a header holds a control character.");
        }
    }
    request_.headers.add(std::string(line.substr(0, colon)), std::string(value));
}

void RequestParser::end_head() {
    state_ = State::kHeadDone;
    check_host();
    if (state_ == State::kHeadDone) check_framing();
    if (state_ == State::kHeadDone) check_content();
    if (state_ == State::kHeadDone) check_connection();
}

void RequestParser::check_host() {
    const size_t count = request_.headers.count("Host");
    if (count > 1) return fail(400, "The request has two Host headers.");
    if (count == 0) {
        if (!is_http_1_0_) fail(400, "The request has no Host header.");
        return;
    }
    const std::string& host = *request_.headers.find("Host");
    if (!is_host(host)) return fail(400, "The Host header is not a host with an optional port.");
    if (!authority_.empty() && lower(authority_) != lower(host)) {
        fail(400, "The target names another host than the Host header.");
    }
}

void RequestParser::check_framing() {
    const size_t lengths = request_.headers.count("Content-Length");
    const size_t codings = request_.headers.count("Transfer-Encoding");
    if (codings > 0 && lengths > 0) {
        return fail(400, "The request has both Content-Length and Transfer-Encoding.");
    }
    if (lengths > 1) return fail(400, "The request has two Content-Length headers.");
    if (codings > 1) return fail(400, "The request has two Transfer-Encoding headers.");
    if (codings == 1) {
        if (is_http_1_0_) return fail(400, "Transfer-Encoding is not part of HTTP/1.0.");
        if (lower(*request_.headers.find("Transfer-Encoding")) != "chunked") {
            return fail(501, "The only Transfer-Encoding understood here is chunked.");
        }
        is_chunked_ = true;
    }
    if (lengths == 1) {
        const std::string& text = *request_.headers.find("Content-Length");
        if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) {
            return fail(400, "Content-Length is not a number.");
        }
        for (const char c : text) {  // stops at a size that every limit refuses
            if (content_length_ < (uint64_t{1} << 40)) {
                content_length_ = content_length_ * 10 + static_cast<uint64_t>(c - '0');
            }
        }
    }
}

void RequestParser::check_content() {
    if (const std::string* coding = request_.headers.find("Content-Encoding")) {
        if (request_.headers.count("Content-Encoding") > 1 || lower(*coding) != "identity") {
            return fail(415,
                        "Compressed bodies are not accepted; send it without "
                        "Content-Encoding.");
        }
    }
    if (const std::string* expect = request_.headers.find("Expect")) {
        if (lower(*expect) != "100-continue") {
            return fail(417, "The only expectation understood here is 100-continue.");
        }
        expects_continue_ = !is_http_1_0_;
    }
}

void RequestParser::check_connection() {
    keep_alive_ = !is_http_1_0_;
    for (const Header& header : request_.headers.all()) {
        if (header.name.size() != 10 || lower(header.name) != "connection") continue;
        std::string_view list = header.value;
        while (!list.empty()) {
            const size_t comma = std::min(list.find(','), list.size());
            const std::string option = lower(trim(list.substr(0, comma)));
            list.remove_prefix(std::min(comma + 1, list.size()));
            if (option == "close") {
                keep_alive_ = false;
                return;
            }
            if (option == "keep-alive") keep_alive_ = true;
        }
    }
}

void RequestParser::start_body(uint32_t body_bytes) {
    if (state_ != State::kHeadDone) return;
    body_bytes_ = body_bytes;
    if (content_length_ > body_bytes) {
        return fail(413, fmt::format("The body is larger than {} bytes.", body_bytes));
    }
    if (!has_body()) {
        state_ = State::kDone;
        return;
    }
    state_ = State::kBody;
    rest_ = content_length_;
    part_ = is_chunked_ ? Part::kChunkSize : Part::kFixedBody;
    // What is announced need not come: memory follows what was read.
    request_.body.reserve(static_cast<size_t>(std::min<uint64_t>(content_length_, 16 << 10)));
}

void RequestParser::take_chunk_size(std::string_view line) {
    size_t digits = 0;
    uint64_t size = 0;
    while (digits < line.size() && hex_value(line[digits]) >= 0) {
        if (digits < 8) size = size << 4 | static_cast<uint64_t>(hex_value(line[digits]));
        ++digits;
    }
    const std::string_view extension = line.substr(digits);
    if (digits == 0 || digits > 8 || (!extension.empty() && extension.front() != ';')) {
        return fail(400, "The size of a chunk is not 1 to 8 hexadecimal digits.");
    }
    if (extension.size() > limits_.chunk_extension_bytes) {
        return fail(400, fmt::format("The extension of a chunk is longer than {} bytes.",
                                     limits_.chunk_extension_bytes));
    }
    for (const char c : extension) {
        if (!is_field_text(c)) {
            return fail(400, "The extension of a chunk holds a control character.");
        }
    }
    if (size == 0) {
        part_ = Part::kTrailer;
        return;
    }
    if (++chunks_ > limits_.chunks_count) {
        return fail(400, fmt::format("The body has more than {} chunks.", limits_.chunks_count));
    }
    if (request_.body.size() + size > body_bytes_) {
        return fail(413, fmt::format("The body is larger than {} bytes.", body_bytes_));
    }
    rest_ = size;
    part_ = Part::kChunkData;
}

void RequestParser::take_trailer(std::string_view line) {
    trailers_bytes_ += static_cast<uint32_t>(line.size());
    if (++trailers_count_ > limits_.headers_count) {
        return fail(431, fmt::format("The body has more than {} trailers.", limits_.headers_count));
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 ||
        !std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(colon), is_token) ||
        !std::all_of(line.begin(), line.end(), is_field_text)) {
        fail(400, "A trailer is not 'Name: value'.");
    }
}

}  // namespace tenon::net
