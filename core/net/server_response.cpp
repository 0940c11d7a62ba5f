#include "core/net/server_response.h"

#include <fmt/format.h>

#include <strings.h>
#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>

namespace tenon::net {
namespace {

bool is_ours(const std::string& name) noexcept {
    static constexpr std::array<const char*, 4> kOurs = {"Content-Length", "Transfer-Encoding",
                                                         "Date", "Connection"};
    return std::any_of(kOurs.begin(), kOurs.end(),
                       [&](const char* ours) { return strcasecmp(ours, name.c_str()) == 0; });
}

bool is_clean(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    });
}

// IMF-fixdate, made once a second and thread.
const std::string& date_now() {
    thread_local std::time_t made = 0;
    thread_local std::string text;
    const std::time_t now = std::time(nullptr);
    if (now != made || text.empty()) {
        static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        std::tm utc{};
        gmtime_r(&now, &utc);
        text = fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[utc.tm_wday], utc.tm_mday,
                           kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                           utc.tm_sec);
        made = now;
    }
    return text;
}

}  // namespace

bool has_body(int status) noexcept { return status >= 200 && status != 204 && status != 304; }

void append_head(std::string& out, int status, const Headers& headers,
                 const ResponseFraming& framing) {
    fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\nDate: {}\r\n", status,
                   reason_of(status), date_now());
    for (const Header& header : headers.all()) {
        if (header.name.empty() || is_ours(header.name) || !is_clean(header.name) ||
            !is_clean(header.value)) {
            continue;
        }
        out.append(header.name).append(": ").append(header.value).append("\r\n");
    }
    if (framing.content_length) {
        fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", *framing.content_length);
    }
    if (framing.is_chunked) out.append("Transfer-Encoding: chunked\r\n");
    if (!framing.keep_alive) {
        out.append("Connection: close\r\n");
    } else if (framing.is_http_1_0) {
        out.append("Connection: keep-alive\r\n");
    }
    out.append("\r\n");
}

void append_chunk(std::string& out, std::string_view bytes) {
    if (bytes.empty()) return;
    fmt::format_to(std::back_inserter(out), "{:x}\r\n", bytes.size());
    out.append(bytes).append("\r\n");
}

}  // namespace tenon::net
