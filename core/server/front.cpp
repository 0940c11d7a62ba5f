#include "core/server/front.h"

#include "core/base/host_memory.h"
#include "core/base/json_writer.h"
#include "core/net/address.h"
#include "core/server/admission.h"
#include "core/server/api_keys.h"
#include "core/server/dispatcher.h"
#include "core/server/metered_engine.h"
#include "core/server/metrics.h"
#include "core/server/service.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::server {

namespace {

// Host headers of a listener that only this machine reaches: a page that a browser was lured to by
// a name of its own does not get in.
const std::vector<std::string> kLoopbackHosts = {"localhost", "127.0.0.1", "[::1]", "::1"};

double memory_percent() {
    const Result<HostMemory> memory = read_host_memory();
    if (!memory.ok() || memory->total == 0) return 0;
    const uint64_t left = std::min(memory->available, memory->total);
    return 100.0 * static_cast<double>(memory->total - left) / static_cast<double>(memory->total);
}

std::vector<std::string> hosts_of(const config::ServeConfig& config, const std::string& host) {
    if (!config.allowed_hosts.empty()) return config.allowed_hosts;
    if (!config::is_loopback(host) || !config.trusted_proxies.empty()) return {};
    std::vector<std::string> hosts = kLoopbackHosts;
    if (!host.starts_with("unix:")) hosts.push_back(host);
    return hosts;
}

std::string url_of(const std::string& host, uint16_t port, bool tls) {
    if (host.starts_with("unix:")) return host;
    const bool is_v6 = host.find(':') != std::string::npos && host.front() != '[';
    return fmt::format("{}://{}:{}", tls ? "https" : "http", is_v6 ? "[" + host + "]" : host, port);
}

}  // namespace

struct Front::Impl {
    FrontOptions options;
    net::Networks proxies;
    std::unique_ptr<KeyRing> keys;  // null: nobody is asked
    Service service;
    RouteTable table;
    std::unique_ptr<Metrics> metrics;
    std::unique_ptr<Admission> admission;
    std::unique_ptr<MeteredEngine> metered;
    std::unique_ptr<Dispatcher> api, admin;
    // Last, so that they are gone before what their callbacks use.
    std::unique_ptr<net::Server> api_server, admin_server;

    Status prepare();
    Status listen();
    void connect_metrics();
    net::ServerOptions server_options(bool is_admin) const;
    void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
        if (options.log != nullptr) options.log->write(level, message, fields);
    }
};

void add_all_routes(RouteTable& table, Service& service) {
    add_health_routes(table, service);
    add_openai_routes(table, service);
    add_responses_routes(table, service);
    add_anthropic_routes(table, service);
    add_embedding_routes(table, service);
    add_text_routes(table, service);
    add_sagemaker_routes(table, service);
    add_admin_routes(table, service);
    add_openapi_route(table, service);
}

Status Front::Impl::prepare() {
    const config::ServeConfig& config = options.config;
    TENON_CHECK(config::check(config));
    TENON_TRY(proxies, net::Networks::parse(config.trusted_proxies));
    if (config::wants_keys(config)) {
        TENON_TRY(keys, KeyRing::open(config.api_key_file));
    }
    const auto is_proxy = [this](const net::Address& address) { return proxies.contains(address); };
    MetricOptions metric_options;
    metric_options.version = options.version;
    for (const std::string& name : config.metrics.compat)
        (name == "vllm" ? metric_options.vllm : metric_options.sglang) = true;
    metrics = std::make_unique<Metrics>(std::move(metric_options));
    AdmissionOptions door;
    door.limits = config.limits;
    if (keys) door.keys = [this] { return keys->keys(); };
    door.is_proxy = is_proxy;
    door.memory_percent = memory_percent;
    door.on_refusal = [this](const char* reason) { metrics->on_rejected(reason); };
    admission = make_admission(std::move(door));

    service.limits = config.limits;
    service.timeouts = config.timeouts;
    service.strict = config.strict;
    service.deterministic = config.engine.deterministic;
    service.admission = admission.get();
    service.metrics = metrics.get();
    service.version = options.version;
    add_all_routes(table, service);
    if (!table.fault().empty()) return Error{Code::kInternal, table.fault()};

    DispatcherOptions dispatch;
    dispatch.cors_origins = config.cors.origins;
    dispatch.is_proxy = is_proxy;
    dispatch.sinks = {options.log, metrics.get()};
    api = std::make_unique<Dispatcher>(table, service, keys.get(), dispatch);
    dispatch.listener = Listener::kAdmin;
    dispatch.admin_needs_key = !config::is_loopback(config.metrics.host);
    dispatch.cors_origins.clear();
    admin = std::make_unique<Dispatcher>(table, service, keys.get(), dispatch);
    return {};
}

net::ServerOptions Front::Impl::server_options(bool is_admin) const {
    const config::ServeConfig& config = options.config;
    net::ServerOptions server;
    server.limits = config.limits;
    if (is_admin) {
        server.host = config.metrics.host;
        server.slow_threads = 1;
        server.allowed_hosts =
            config::is_loopback(server.host) ? kLoopbackHosts : std::vector<std::string>();
        if (!server.allowed_hosts.empty()) server.allowed_hosts.push_back(server.host);
        return server;
    }
    server.host = config.host;
    server.port = static_cast<uint16_t>(config.port);
    server.io_threads = config.io_threads;
    server.slow_threads = config.worker_threads;
    server.tls = {config.tls.certificate_file, config.tls.key_file};
    server.trusted_proxies = config.trusted_proxies;
    server.proxy_protocol = config.proxy_protocol;
    server.allowed_hosts = hosts_of(config, config.host);
    return server;
}

Status Front::Impl::listen() {
    TENON_TRY(api_server, net::Server::start(server_options(false), *api));
    net::ServerOptions second = server_options(true);
    const uint32_t wanted = options.config.metrics.port;
    const uint16_t main = api_server->port();
    second.port = static_cast<uint16_t>(wanted != 0 || main == 0 || main == UINT16_MAX ? wanted
                                        : options.config.port == 0                     ? 0
                                                                                       : main + 1);
    Result<std::unique_ptr<net::Server>> started = net::Server::start(second, *admin);
    if (!started.ok() && wanted == 0 && second.port != 0) {
        // Nobody asked for this port, so any other one is as good.
        log(LogLevel::kWarn, "the port after the main one is taken; metrics are on another",
            {{"port", uint32_t{second.port}}});
        second.port = 0;
        started = net::Server::start(second, *admin);
    }
    if (!started.ok()) return std::move(started).error().within("metrics");
    admin_server = std::move(started).value();
    return {};
}

void Front::Impl::connect_metrics() {
    MetricSources sources;
    sources.engine = [this]() -> std::optional<engine::EngineStats> {
        if (!service.is_loaded.load()) return std::nullopt;
        return service.engine->stats();
    };
    sources.info = [this]() -> std::shared_ptr<const engine::EngineInfo> {
        return service.is_loaded.load() ? service.engine->info() : nullptr;
    };
    sources.servers = [this] {
        std::vector<net::ServerStats> stats = {api_server->stats()};
        if (admin_server) stats.push_back(admin_server->stats());
        return stats;
    };
    sources.devices = options.devices;
    if (options.log != nullptr) {
        sources.log_dropped = [log = options.log] { return log->dropped(); };
    }
    sources.certificate_expires_in = [this] { return api_server->tls_expires_in(); };
    sources.queue = [this] { return admission->waiting(); };
    metrics->set_sources(std::move(sources));
}

Front::Front(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Front::~Front() { stop_now(); }

Result<std::unique_ptr<Front>> Front::start(FrontOptions options) {
    auto impl = std::make_unique<Impl>();
    impl->options = std::move(options);
    TENON_CHECK(impl->prepare());
    // The sources look at the servers only when somebody scrapes one.
    impl->connect_metrics();
    TENON_CHECK(impl->listen());
    return std::unique_ptr<Front>(new Front(std::move(impl)));
}

void Front::attach(engine::EngineClient& engine, const engine::LoadedModel& model) {
    Service& service = impl_->service;
    impl_->metered = std::make_unique<MeteredEngine>(engine, *impl_->metrics);
    service.engine = impl_->metered.get();
    service.model = &model;
    if (const auto info = engine.info()) {
        service.context_length = info->context_length;
        service.vocab_size = info->vocab_size;
        service.deterministic = info->deterministic;
        service.model_names = impl_->options.config.served_model_name;
        if (service.model_names.empty()) service.model_names = {info->model_name};
    }
    service.is_loaded.store(true);
}

void Front::note_startup(double seconds, double load_seconds) {
    impl_->metrics->on_startup(seconds, load_seconds);
}

uint16_t Front::port() const { return impl_->api_server->port(); }

uint16_t Front::admin_port() const { return impl_->admin_server->port(); }

std::string Front::url() const {
    const config::ServeConfig& config = impl_->options.config;
    return url_of(config.host, port(), !config.tls.certificate_file.empty());
}

std::string Front::admin_url() const {
    return url_of(impl_->options.config.metrics.host, admin_port(), false);
}

void Front::announce_drain() { impl_->service.is_draining.store(true); }

void Front::refuse_new() {
    impl_->admission->close();
    impl_->api_server->stop_accepting();
    impl_->api_server->close_idle();
}

bool Front::is_idle() const {
    return impl_->admission->in_flight() == 0 && impl_->api_server->stats().active == 0;
}

void Front::stop_now() {
    if (impl_->api_server) impl_->api_server->stop_now();
    if (impl_->admin_server) impl_->admin_server->stop_now();
}

bool Front::reload() {
    bool all = true;
    const auto note = [&](const char* what, const Status& status) {
        impl_->metrics->on_reload(what, status.ok());
        if (status.ok()) {
            impl_->log(LogLevel::kInfo, "reloaded", {{"what", what}});
        } else {
            impl_->log(LogLevel::kError, "not reloaded; the old one stays",
                       {{"what", what}, {"error", status.error().message}});
        }
        all = all && status.ok();
    };
    if (impl_->keys) note("keys", impl_->keys->reload());
    if (!impl_->options.config.tls.certificate_file.empty()) {
        note("tls", impl_->api_server->reload_tls());
    }
    return all;
}

void Front::tend() {
    if (memory_percent() >= impl_->options.config.limits.shed_idle_percent) {
        impl_->api_server->close_idle();
    }
}

const RouteTable& Front::routes() const { return impl_->table; }

Service& Front::service() { return impl_->service; }

std::string routes_json(const RouteTable& table) {
    JsonWriter json;
    json.begin_array();
    for (const Route& route : table.routes()) {
        const char* access = route.access == Access::kPublic  ? "public"
                             : route.access == Access::kAdmin ? "admin"
                                                              : "key";
        json.begin_object().field("method", route.method).field("path", route.path);
        json.field("access", access).field("summary", route.summary).end_object();
    }
    json.end_array();
    return json.text();
}

}  // namespace tenon::server
