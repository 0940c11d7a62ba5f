// The options of `tenon serve`: those of an engine, and how it is reached.
#pragma once

#include "core/base/result.h"
#include "core/config/fields.h"
#include "core/config/limits.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::config {

// A time as people write it: "500ms", "90s", "10m", "2h".
struct Duration {
    static constexpr uint32_t kMsMax = 86'400'000;
    uint32_t ms = 0;
    bool operator==(const Duration&) const = default;
};

struct TlsConfig {
    static constexpr const char* kShortForm = "mode";  // tls: offloaded
    std::string mode = "auto";
    std::string certificate_file, key_file;
};

struct CorsConfig {
    std::vector<std::string> origins;
};

struct TimeoutConfig {
    Duration usual{90'000}, extended{600'000}, health{2'000};
    std::map<std::string, Duration> routes;
};

struct MetricsConfig {
    std::string host = "127.0.0.1";
    uint32_t port = 0;
    std::vector<std::string> compat;
};

struct LogConfig {
    std::string level = "info", format = "text", file;
};

struct ServeConfig {
    EngineConfig engine;
    std::string model;
    std::string host = "127.0.0.1";
    uint32_t port = 30000;
    std::vector<std::string> served_model_name;
    bool in_process = false;
    bool strict = false;
    std::string auth = "auto";
    std::string api_key_file;
    TlsConfig tls;
    CorsConfig cors;
    std::vector<std::string> allowed_hosts, trusted_proxies;
    bool proxy_protocol = false;
    uint32_t io_threads = 1, worker_threads = 2;
    TimeoutConfig timeouts;
    MetricsConfig metrics;
    LogConfig log;
    Limits limits;
};

template <class Visitor>
void visit_fields(TlsConfig& c, Visitor&& visit) {
    visit("mode", c.mode, Constraint{.choices = {"auto", "offloaded"}},
          "auto: TLS when there is a certificate; offloaded: something in front speaks it");
    visit("certificate_file", c.certificate_file, Constraint{}, "chain of certificates, PEM");
    visit("key_file", c.key_file, Constraint{}, "private key of the certificate, PEM");
}

template <class Visitor>
void visit_fields(CorsConfig& c, Visitor&& visit) {
    visit("origins", c.origins, Constraint{},
          "web origins whose pages may call the API, such as https://chat.example.org");
}

template <class Visitor>
void visit_fields(TimeoutConfig& c, Visitor&& visit) {
    visit("default", c.usual, Constraint{}, "a request that is expected to be short");
    visit("extended", c.extended, Constraint{}, "a streamed or a long answer");
    visit("health", c.health, Constraint{}, "health and information routes");
    visit("routes", c.routes, Constraint{},
          "by path, or by prefix with a last *: wins over the others");
}

template <class Visitor>
void visit_fields(MetricsConfig& c, Visitor&& visit) {
    visit("host", c.host, Constraint{}, "address of the second listener: metrics and admin routes");
    visit("port", c.port, Constraint{.max = 65535},
          "port of the second listener; 0 takes the one after port");
    visit("compat", c.compat, Constraint{.choices = {"vllm", "sglang"}},
          "also these servers' names for the same metrics");
}

template <class Visitor>
void visit_fields(LogConfig& c, Visitor&& visit) {
    visit("level", c.level, Constraint{.choices = {"error", "warn", "info", "debug"}},
          "least severe lines that are written");
    visit("format", c.format, Constraint{.choices = {"text", "json"}}, "form of the lines");
    visit("file", c.file, Constraint{}, "appended to, opened again on SIGHUP; empty: stderr");
}

template <class Visitor>
void visit_fields(ServeConfig& c, Visitor&& visit) {
    visit("model", c.model, Constraint{}, "path of a .gguf file, or a name of the catalog");
    visit("host", c.host, Constraint{}, "address to listen on, or unix:PATH");
    visit("port", c.port, Constraint{.max = 65535}, "port to listen on; 0 takes any free one");
    visit("served_model_name", c.served_model_name, Constraint{},
          "names that clients may call the model; the first is shown");
    visit("in_process", c.in_process, Constraint{},
          "run the engine inside this process instead of in a child");
    visit("strict", c.strict, Constraint{}, "unknown fields of a request are refused");
    visit("auth", c.auth, Constraint{.choices = {"auto", "none", "keys"}},
          "auto: keys when there is an api_key_file, else none, on loopback only");
    visit("api_key_file", c.api_key_file, Constraint{},
          "file of mode 0600 with one 'key' or 'name:key' a line");
    visit("tls", c.tls, Constraint{}, "certificate, or 'offloaded'");
    visit("cors", c.cors, Constraint{}, "which web pages may call the API");
    visit("allowed_hosts", c.allowed_hosts, Constraint{},
          "Host headers that are answered; empty: any, and on loopback only its own names");
    visit("trusted_proxies", c.trusted_proxies, Constraint{},
          "addresses (CIDR) whose X-Forwarded-For is believed");
    visit("proxy_protocol", c.proxy_protocol, Constraint{},
          "trusted proxies open every connection with a PROXY line");
    visit("io_threads", c.io_threads, Constraint{.min = 1, .max = 64}, "threads of the listener");
    visit("worker_threads", c.worker_threads, Constraint{.min = 1, .max = 64},
          "threads that tokenize and render templates");
    visit("timeouts", c.timeouts, Constraint{}, "clocks of a whole request");
    visit("metrics", c.metrics, Constraint{}, "second listener");
    visit("log", c.log, Constraint{}, "log of the server");
    visit("limits", c.limits, Constraint{}, "what a client may send or hold");
    visit_fields(c.engine, visit);
}

// An address that only this machine reaches: 127.0.0.0/8, ::1, localhost, unix:PATH.
bool is_loopback(std::string_view host);

// Whether callers need a key.
bool wants_keys(const ServeConfig& config);

// Rules between fields: who may be served without keys or without TLS, files that belong together,
// origins, order of limits. kConfig lists every one that is broken.
Status check(const ServeConfig& config);

}  // namespace tenon::config
