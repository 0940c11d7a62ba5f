#include "core/net/redirect.h"

#include "core/net/client_fields.h"
#include "core/net/url.h"

#include <fmt/format.h>

namespace tenon::net {

namespace {

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// RFC 3986, 5.2, less dot segments, which servers resolve for themselves.
std::string resolve(const Url& base, std::string_view location) {
    const std::string_view scheme = base.tls ? "https:" : "http:";
    if (location.find("://") != std::string_view::npos &&
        location.find("://") < location.find_first_of("/?")) {
        return std::string(location);
    }
    if (location.starts_with("//")) return fmt::format("{}{}", scheme, location);
    if (location.starts_with('/')) {
        return fmt::format("{}//{}{}", scheme, base.authority(), location);
    }
    const std::string_view target = base.target;
    const std::string_view path = target.substr(0, target.find('?'));
    if (location.starts_with('?')) {
        return fmt::format("{}//{}{}{}", scheme, base.authority(), path, location);
    }
    return fmt::format("{}//{}{}{}", scheme, base.authority(), path.substr(0, path.rfind('/') + 1),
                       location);
}

bool is_secret(std::string_view name) {
    return client_fields::same(name, "Authorization") || client_fields::same(name, "Cookie") ||
           client_fields::same(name, "Proxy-Authorization");
}

}  // namespace

Result<std::optional<ClientRequest>> follow_redirect(const ClientRequest& request, int status,
                                                     const Headers& headers) {
    const std::string* const location = headers.find("Location");
    if (!is_redirect(status) || location == nullptr) return std::optional<ClientRequest>();
    TENON_TRY(const Url base, parse_url(request.url));
    ClientRequest next = request;
    next.url = resolve(base, std::string_view(*location).substr(0, location->find('#')));
    Result<Url> target = parse_url(next.url);
    if (!target.ok()) {
        return Error{Code::kInvalid, fmt::format("{} redirects to something else than a URL: {}",
                                                 base.host, target.error().message)};
    }
    if (base.tls && !target->tls) {
        return Error{Code::kInvalid, fmt::format("{} redirects from https to http, to {}",
                                                 base.host, target->host)};
    }
    if (target->origin() != base.origin()) {
        Headers kept;
        for (const Header& header : request.headers.all()) {
            if (!is_secret(header.name)) kept.add(header.name, header.value);
        }
        next.headers = std::move(kept);
    }
    if (status <= 303 && next.method != "GET" && next.method != "HEAD") {
        next.method = "GET";
        next.body.clear();
    }
    return std::optional<ClientRequest>(std::move(next));
}

}  // namespace tenon::net
