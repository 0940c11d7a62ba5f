#include "core/net/client_proxy.h"

#include "core/net/client_fields.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>

namespace tenon::net {

namespace {

constexpr size_t kSecretMax = 1024;  // bytes of user and password together

std::string lower(std::string_view text) {
    std::string made(text);
    std::transform(made.begin(), made.end(), made.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return made;
}

// Percent-decoded; nothing where that is no text of printable bytes.
std::optional<std::string> decode(std::string_view text) {
    std::string made;
    for (size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            uint8_t byte = 0;
            const char* const last = text.data() + std::min(i + 3, text.size());
            const auto [end, error] = std::from_chars(text.data() + i + 1, last, byte, 16);
            if (error != std::errc{} || end != text.data() + i + 3) return std::nullopt;
            c = static_cast<char>(byte);
            i += 2;
        }
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) return std::nullopt;
        made += c;
    }
    return made;
}

std::string basic(const std::string& secret) {
    std::string coded(4 * ((secret.size() + 2) / 3) + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(coded.data()),
                                     reinterpret_cast<const unsigned char*>(secret.data()),
                                     static_cast<int>(secret.size()));
    coded.resize(static_cast<size_t>(size));
    return "Basic " + coded;
}

// The port behind the last ':' of a name or a bracketed address; 0: none there, or no port.
uint16_t port_of(std::string_view text) {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return 0;
    uint16_t port = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data() + colon + 1, last, port);
    return error == std::errc{} && end == last ? port : uint16_t{0};
}

Result<ClientProxy> parse_proxy(const char* variable, std::string_view text) {
    const auto wrong = [&](std::string_view seen) {
        return Error{
            Code::kConfig,
            fmt::format("{}: expected http://[USER:PASSWORD@]HOST[:PORT], {}", variable, seen)};
    };
    const size_t scheme_end = text.find("://");
    if (scheme_end != std::string_view::npos) {
        const std::string scheme = lower(text.substr(0, scheme_end));
        if (scheme == "https") return wrong("got a proxy that is spoken to by https itself");
        if (scheme.starts_with("socks")) return wrong("got a SOCKS proxy");
        if (scheme != "http") return wrong("got another scheme");
        text.remove_prefix(scheme_end + 3);
    }
    text = text.substr(0, text.find('/'));
    ClientProxy proxy;
    proxy.variable = variable;
    if (const size_t at = text.rfind('@'); at != std::string_view::npos) {
        const std::string_view user_info = text.substr(0, at);
        text.remove_prefix(at + 1);
        const std::optional<std::string> secret = decode(user_info);
        if (!secret || secret->size() > kSecretMax) {
            return wrong(
                "got a user or password that cannot be sent; other characters than letters "
                "and digits are written as %XX");
        }
        const bool has_password = user_info.find(':') != std::string_view::npos;
        proxy.authorization = basic(has_password ? *secret : *secret + ':');
    }
    const Result<Url> url = parse_url(fmt::format("http://{}", text));
    if (!url.ok()) return wrong("got no host, or no port, in it");
    proxy.host = url->host;
    const bool has_port = text.back() != ']' && text.rfind(':') != std::string_view::npos;
    if (has_port) proxy.port = url->port;
    return proxy;
}

}  // namespace

std::string ClientProxy::name() const {
    Url url;
    url.host = host;
    url.port = port;
    return url.host_and_port();
}

Error ClientProxy::refusal(int status, const Headers& headers, const std::string& asked) const {
    if (status != 407) {
        return {status == 429 || status >= 500 ? Code::kBusy : Code::kInvalid,
                fmt::format("the proxy {} answered {} ({}) when asked for {}", name(), status,
                            reason_of(status), asked)};
    }
    const std::string* const offered = headers.find("Proxy-Authenticate");
    const std::string scheme = offered == nullptr ? "" : lower(*offered).substr(0, 5);
    if (offered != nullptr && scheme != "basic") {
        return {
            Code::kInvalid,
            fmt::format("the proxy {} wants a login (407) of another kind than Basic, which is the "
                        "only one that can be sent",
                        name())};
    }
    if (!authorization.empty()) {
        return {Code::kInvalid,
                fmt::format("the proxy {} refuses the user and password in {} (407)", name(),
                            variable)};
    }
    return {Code::kInvalid,
            fmt::format("the proxy {} wants a user and a password (407); {} takes them as "
                        "http://USER:PASSWORD@{}",
                        name(), variable, name())};
}

Result<ProxyRules> ProxyRules::read(const std::function<std::string(const char*)>& lookup) {
    const bool is_cgi = !lookup("REQUEST_METHOD").empty();
    const auto read_first =
        [&](std::initializer_list<const char*> names) -> Result<std::optional<ClientProxy>> {
        for (const char* name : names) {
            if (is_cgi && std::string_view(name) == "HTTP_PROXY") continue;
            const std::string text = lookup(name);
            if (text.empty()) continue;
            TENON_TRY(ClientProxy proxy, parse_proxy(name, text));
            return std::optional<ClientProxy>(std::move(proxy));
        }
        return std::optional<ClientProxy>();
    };
    ProxyRules rules;
    TENON_TRY(rules.http_, read_first({"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}));
    TENON_TRY(rules.https_, read_first({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}));
    std::string list = lookup("no_proxy");
    if (list.empty()) list = lookup("NO_PROXY");
    std::string_view rest = list;
    while (!rest.empty()) {
        const size_t end = std::min(rest.find_first_of(", \t"), rest.size());
        if (end > 0) rules.add_exception(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return rules;
}

// What can be no host is left out, as curl does.
void ProxyRules::add_exception(std::string_view text) {
    if (text == "*") {
        is_off_ = true;
        return;
    }
    Exception made;
    Result<Networks> network = Networks::parse({std::string(text)});
    if (!network.ok()) {
        const bool is_bracketed = text.front() == '[';
        const bool has_port = is_bracketed ? text.back() != ']' : text.find(':') != text.npos;
        if (has_port) {
            made.port = port_of(text);
            if (made.port == 0) return;
            text = text.substr(0, text.rfind(':'));
        }
        if (is_bracketed && text.back() == ']') text = text.substr(1, text.size() - 2);
        network = Networks::parse({std::string(text)});
    }
    if (network.ok()) {
        made.network = std::move(*network);
    } else {
        while (!text.empty() && text.front() == '.')
            text.remove_prefix(1);
        while (!text.empty() && text.back() == '.')
            text.remove_suffix(1);
        if (text.empty()) return;
        made.host = lower(text);
    }
    exceptions_.push_back(std::move(made));
}

bool ProxyRules::is_exception(const Url& url) const {
    if (is_off_) return true;
    const std::optional<IpAddress> address = parse_ip(url.host);
    std::string_view host = url.host;
    while (!host.empty() && host.back() == '.')
        host.remove_suffix(1);
    return std::any_of(exceptions_.begin(), exceptions_.end(), [&](const Exception& one) {
        if (one.port != 0 && one.port != url.port) return false;
        if (one.host.empty()) return address && one.network.contains(to_text(*address));
        if (address || !host.ends_with(one.host)) return false;
        return host.size() == one.host.size() || host[host.size() - one.host.size() - 1] == '.';
    });
}

const ClientProxy* ProxyRules::find(const Url& url) const {
    const std::optional<ClientProxy>& proxy = url.tls ? https_ : http_;
    return proxy.has_value() && !is_exception(url) ? &*proxy : nullptr;
}

}  // namespace tenon::net
