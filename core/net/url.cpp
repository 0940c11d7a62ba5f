#include "core/net/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tenon::net {

namespace {

constexpr size_t kUrlBytesMax = 8 << 10;

Error wrong(std::string_view text, std::string_view what) {
    return Error{Code::kInvalid, fmt::format("URL '{}': {}", text.substr(0, 200), what)};
}

bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool is_ipv6_char(char c) {
    return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == ':' || c == '.' || c == '%';
}

}  // namespace

std::string Url::authority() const {
    const std::string name = host.find(':') == std::string::npos ? host : '[' + host + ']';
    return port == (tls ? 443 : 80) ? name : fmt::format("{}:{}", name, port);
}

std::string Url::host_and_port() const {
    const std::string name = host.find(':') == std::string::npos ? host : '[' + host + ']';
    return fmt::format("{}:{}", name, port);
}

std::string Url::origin() const {
    return fmt::format("{}://{}:{}", tls ? "https" : "http", host, port);
}

Result<Url> parse_url(std::string_view text) {
    if (text.size() > kUrlBytesMax) {
        return wrong(text, fmt::format("longer than {} bytes", kUrlBytesMax));
    }
    const bool is_clean = std::all_of(text.begin(), text.end(), [](char c) {
        return c > ' ' && c != 0x7f && c != '#' && c != '\\';
    });
    if (!is_clean) return wrong(text, "expected no space, control, '\\', '#' or non-ASCII byte");
    Url url;
    std::string_view rest = text;
    if (rest.substr(0, 7) == "http://") {
        rest.remove_prefix(7);
    } else if (rest.substr(0, 8) == "https://") {
        rest.remove_prefix(8);
        url.tls = true;
        url.port = 443;
    } else {
        return wrong(text, "expected http:// or https://");
    }
    const size_t end = rest.find_first_of("/?");
    std::string_view authority = rest.substr(0, end);
    if (end != std::string_view::npos) {
        const std::string_view target = rest.substr(end);
        url.target = fmt::format("{}{}", target.front() == '?' ? "/" : "", target);
    }
    if (authority.find('@') != std::string_view::npos) {
        return wrong(text, "a user name in a URL is not supported");
    }
    const bool is_ipv6 = !authority.empty() && authority.front() == '[';
    const size_t host_end =
        is_ipv6 ? authority.find(']') : std::min(authority.find(':'), authority.size());
    if (host_end == std::string_view::npos) return wrong(text, "the address has no closing ']'");
    url.host = authority.substr(is_ipv6 ? 1 : 0, is_ipv6 ? host_end - 1 : host_end);
    std::transform(url.host.begin(), url.host.end(), url.host.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (url.host.empty()) return wrong(text, "the host is missing");
    if (url.host.size() > 253 ||
        !std::all_of(url.host.begin(), url.host.end(), is_ipv6 ? is_ipv6_char : is_host_char)) {
        return wrong(text, "expected a host name or an address");
    }
    authority.remove_prefix(host_end + (is_ipv6 ? 1 : 0));
    if (authority.empty()) return url;
    uint32_t port = 0;
    const char* last = authority.data() + authority.size();
    const auto [stop, error] = std::from_chars(authority.data() + 1, last, port);
    if (authority.front() != ':' || error != std::errc{} || stop != last || port == 0 ||
        port > 65535) {
        return wrong(text, "expected a port from 1 to 65535 after ':'");
    }
    url.port = static_cast<uint16_t>(port);
    return url;
}

}  // namespace tenon::net
