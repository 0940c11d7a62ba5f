#include "core/config/serve_config.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::config {

namespace {

bool is_origin(std::string_view text) {
    const size_t scheme = text.find("://");
    return scheme != std::string_view::npos && scheme > 0 && text.size() > scheme + 3 &&
           text.find_first_of("/*, \t", scheme + 3) == std::string_view::npos;
}

}  // namespace

bool is_loopback(std::string_view host) {
    if (host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("unix:")) {
        return true;
    }
    // A name may begin with 127 too, so every character counts.
    return host.starts_with("127.") &&
           host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool wants_keys(const ServeConfig& config) {
    return config.auth == "keys" || (config.auth == "auto" && !config.api_key_file.empty());
}

Status check(const ServeConfig& config) {
    std::vector<std::string> faults;
    const bool keys = wants_keys(config);
    if (config.auth == "keys" && config.api_key_file.empty()) {
        faults.push_back("auth: keys needs an api_key_file");
    }
    if (config.auth == "none" && !config.api_key_file.empty()) {
        faults.push_back("auth: none and an api_key_file exclude each other; take one out");
    }
    if (config.tls.certificate_file.empty() != config.tls.key_file.empty()) {
        faults.push_back("tls: certificate_file and key_file are needed both");
    }
    if (config.tls.mode == "offloaded" && !config.tls.certificate_file.empty()) {
        faults.push_back("tls: offloaded and a certificate exclude each other; take one out");
    }
    if (!is_loopback(config.host)) {
        if (!keys && config.auth != "none") {
            faults.push_back(fmt::format(
                "host: {} is reachable from outside and there are no keys: set api_key_file, or "
                "auth: none to serve everybody",
                config.host));
        }
        if (config.tls.certificate_file.empty() && config.tls.mode != "offloaded") {
            faults.push_back(fmt::format(
                "host: {} is reachable from outside and there is no TLS: set tls.certificate_file "
                "and tls.key_file, or tls: offloaded when something in front speaks it",
                config.host));
        }
    }
    if (!is_loopback(config.metrics.host) && !keys && config.auth != "none") {
        faults.push_back(fmt::format(
            "metrics.host: {} is reachable from outside and there are no keys: set api_key_file, "
            "or auth: none to serve everybody",
            config.metrics.host));
    }
    for (const std::string& origin : config.cors.origins) {
        if (origin == "*" && keys) {
            faults.push_back("cors.origins: '*' together with keys would lend every page the key");
        } else if (origin != "*" && !is_origin(origin)) {
            faults.push_back(fmt::format(
                "cors.origins: expected SCHEME://HOST without a path, got '{}'", origin));
        }
    }
    for (const auto& [pattern, time] : config.timeouts.routes) {
        if (!pattern.starts_with('/')) {
            faults.push_back(fmt::format("timeouts.routes: expected a path, got '{}'", pattern));
        }
    }
    if (config.proxy_protocol && config.trusted_proxies.empty()) {
        faults.push_back("proxy_protocol: needs trusted_proxies, the addresses it is taken from");
    }
    const Limits& limits = config.limits;
    if (limits.stream_low_bytes >= limits.stream_high_bytes) {
        faults.push_back("limits: stream_low_bytes must be below stream_high_bytes");
    }
    if (limits.shed_idle_percent > limits.shed_refuse_percent) {
        faults.push_back("limits: shed_idle_percent must not be above shed_refuse_percent");
    }
    if (faults.empty()) return {};
    return Error{Code::kConfig, fmt::format("{}", fmt::join(faults, "\n"))};
}

}  // namespace tenon::config
