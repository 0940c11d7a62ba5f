#include "core/server/metrics.h"

#include "core/server/metric_aliases.h"

#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <tuple>

#include <dirent.h>
#include <unistd.h>

namespace tenon::server {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

// Edges in seconds. Every one has 5.0, which alarms on p99 are written against.
const prometheus::Histogram::BucketBoundaries kFirstTokenEdges = {
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,  0.25, 0.5,
    0.75,  1.0,   2.5,  5.0,  7.5,  10.0, 20.0, 40.0, 80.0};
const prometheus::Histogram::BucketBoundaries kGapEdges = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                           0.075, 0.1,    0.15,  0.2,  0.3,   0.4,
                                                           0.5,   0.75,   1.0,   2.5,  5.0};
const prometheus::Histogram::BucketBoundaries kWholeEdges = {
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0};
const prometheus::Histogram::BucketBoundaries kQueueEdges = {
    0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0};

// Families of one scrape, in order.
class Page {
public:
    void gauge(const char* name, const char* help, double value, Labels labels = {}) {
        ClientMetric& metric = add(name, help, MetricType::Gauge, std::move(labels));
        metric.gauge.value = value;
    }
    void counter(const char* name, const char* help, double value, Labels labels = {}) {
        ClientMetric& metric = add(name, help, MetricType::Counter, std::move(labels));
        metric.counter.value = value;
    }
    void histogram(const char* name, const char* help, const prometheus::Histogram& from) {
        add(name, help, MetricType::Histogram, {}).histogram = from.Collect().histogram;
    }
    std::vector<MetricFamily> families;

private:
    ClientMetric& add(const char* name, const char* help, MetricType type, Labels labels) {
        if (families.empty() || families.back().name != name) {
            families.push_back({name, help, type, {}});
        }
        ClientMetric metric;
        metric.label = std::move(labels);
        families.back().metric.push_back(std::move(metric));
        return families.back().metric.back();
    }
};

double seconds_since_1970() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

double resident_bytes() {
    // Second number of statm: resident pages (proc(5)).
    std::ifstream statm("/proc/self/statm");
    double size = 0, resident = 0;
    statm >> size >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double open_files() {
    DIR* folder = opendir("/proc/self/fd");
    if (folder == nullptr) return 0;
    double count = -3;  // ".", ".." and the folder itself
    while (readdir(folder) != nullptr)
        ++count;
    closedir(folder);
    return count;
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

struct Metrics::Impl {
    MetricOptions options;
    MetricSources sources;
    double started = seconds_since_1970();

    std::mutex mutex;
    std::map<std::pair<std::string, int>, uint64_t> http;      // route, code
    std::map<std::pair<int, std::string>, uint64_t> requests;  // code, finish reason
    std::map<std::string, uint64_t> rejected, cancelled;       // reason, where
    std::map<std::pair<std::string, bool>, uint64_t> reloads;  // what, result
    uint64_t auth_failures = 0;
    double startup_seconds = 0, load_seconds = 0;

    prometheus::Histogram first_token{kFirstTokenEdges}, gap{kGapEdges}, whole{kWholeEdges},
        queue{kQueueEdges};

    void add_server(Page& page);
    void add_engine(Page& page, const engine::EngineStats& stats, const engine::EngineInfo* info);
    void add_devices(Page& page, const engine::EngineStats* stats);
    void add_process(Page& page);
};

Metrics::Metrics(MetricOptions options) : impl_(std::make_unique<Impl>()) {
    impl_->options = std::move(options);
}

Metrics::~Metrics() = default;

void Metrics::set_sources(MetricSources sources) { impl_->sources = std::move(sources); }

void Metrics::on_request(const RequestFacts& facts) {
    const std::string route = facts.route != nullptr ? facts.route->path : "none";
    const std::lock_guard lock(impl_->mutex);
    ++impl_->http[{route, facts.status}];
    if (facts.route == nullptr || !facts.route->is_inference) return;
    std::string reason = facts.finish_reason;
    if (reason.empty()) reason = facts.cancelled.empty() ? "none" : "cancelled";
    ++impl_->requests[{facts.status, reason}];
    if (!facts.cancelled.empty()) ++impl_->cancelled[facts.cancelled];
    impl_->whole.Observe(facts.seconds);
}

void Metrics::on_rejected(std::string_view reason) {
    const std::lock_guard lock(impl_->mutex);
    ++impl_->rejected[std::string(reason)];
}

void Metrics::on_auth_failure() {
    const std::lock_guard lock(impl_->mutex);
    ++impl_->auth_failures;
}

void Metrics::on_reload(std::string_view what, bool ok) {
    const std::lock_guard lock(impl_->mutex);
    ++impl_->reloads[{std::string(what), ok}];
}

void Metrics::observe_queue(double seconds) { impl_->queue.Observe(seconds); }

void Metrics::observe_first_token(double seconds) { impl_->first_token.Observe(seconds); }

void Metrics::observe_gap(double seconds) { impl_->gap.Observe(seconds); }

void Metrics::on_startup(double seconds, double load_seconds) {
    const std::lock_guard lock(impl_->mutex);
    impl_->startup_seconds = seconds;
    impl_->load_seconds = load_seconds;
}

void Metrics::Impl::add_server(Page& page) {
    page.gauge("tenon_build_info", "Version of the server; always 1.", 1,
               {{"version", options.version}});
    const std::lock_guard lock(mutex);
    for (const auto& [key, count] : http) {
        page.counter("tenon_http_requests_total", "Requests answered, by route and status.",
                     static_cast<double>(count),
                     {{"route", key.first}, {"code", std::to_string(key.second)}});
    }
    for (const auto& [key, count] : requests) {
        page.counter("tenon_requests_total",
                     "Inference requests that ended, by status and finish reason.",
                     static_cast<double>(count),
                     {{"code", std::to_string(key.first)}, {"finish_reason", key.second}});
    }
    for (const auto& [reason, count] : rejected) {
        page.counter("tenon_admission_rejected_total", "Requests refused at the door.",
                     static_cast<double>(count), {{"reason", reason}});
    }
    for (const auto& [where, count] : cancelled) {
        page.counter("tenon_cancelled_total", "Answers that were not completed, by cause.",
                     static_cast<double>(count), {{"where", where}});
    }
    page.counter("tenon_auth_failures_total", "Requests without a known key.",
                 static_cast<double>(auth_failures));
    for (const auto& [key, count] : reloads) {
        page.counter("tenon_reloads_total", "Reloads of files, by result.",
                     static_cast<double>(count),
                     {{"what", key.first}, {"result", key.second ? "ok" : "failed"}});
    }
    if (startup_seconds > 0) {
        page.gauge("tenon_engine_startup_seconds", "From start to the first token.",
                   startup_seconds);
        page.gauge("tenon_engine_load_weights_seconds", "Of that, loading the model.",
                   load_seconds);
    }
    page.histogram("tenon_time_to_first_token_seconds",
                   "From submission to the first token of a sequence.", first_token);
    page.histogram("tenon_inter_token_latency_seconds", "Between two tokens of a sequence.", gap);
    page.histogram("tenon_e2e_request_latency_seconds",
                   "Of an inference request, from its head to the end of its answer.", whole);
    page.histogram("tenon_request_queue_time_seconds",
                   "From submission to the first step that took the sequence.", queue);
    if (sources.queue) {
        page.gauge("tenon_admission_queue_requests", "Requests admitted and not yet in a step.",
                   sources.queue());
    }
}

void Metrics::Impl::add_engine(Page& page, const engine::EngineStats& stats,
                               const engine::EngineInfo* info) {
    const double blocks = stats.blocks_free + stats.blocks_cached + stats.blocks_used;
    page.gauge("tenon_ready", "1 when the engine computes tokens.", stats.is_ready ? 1 : 0);
    page.gauge("tenon_requests_running", "Sequences that hold blocks.", stats.running);
    page.gauge("tenon_requests_waiting", "Sequences that wait for a step.", stats.waiting);
    page.gauge("tenon_requests_paused", "Sequences whose client reads too slowly.", stats.paused);
    page.gauge("tenon_kv_cache_usage_ratio", "Share of the KV blocks that sequences use.",
               ratio(stats.blocks_used, blocks));
    const char* help = "Blocks of the KV pool, by state.";
    page.gauge("tenon_kv_cache_blocks", help, stats.blocks_free, {{"state", "free"}});
    page.gauge("tenon_kv_cache_blocks", help, stats.blocks_cached, {{"state", "cached"}});
    page.gauge("tenon_kv_cache_blocks", help, stats.blocks_used, {{"state", "used"}});
    const auto prompt = static_cast<double>(stats.prompt_tokens);
    const auto cached = static_cast<double>(stats.cached_tokens);
    page.counter("tenon_prefix_cache_queries_total", "Prompt tokens looked up.", prompt);
    page.counter("tenon_prefix_cache_hits_total", "Prompt tokens found.", cached);
    page.counter("tenon_prompt_tokens_total", "Prompt tokens taken.", prompt);
    page.counter("tenon_cached_tokens_total", "Prompt tokens that were not computed again.",
                 cached);
    page.counter("tenon_generation_tokens_total", "Tokens drawn.",
                 static_cast<double>(stats.output_tokens));
    page.counter("tenon_retractions_total", "Sequences that gave their blocks back and recompute.",
                 static_cast<double>(stats.retractions));
    page.counter("tenon_evicted_blocks_total", "Cached blocks that were dropped.",
                 static_cast<double>(stats.evicted_blocks));
    page.counter("tenon_plans_refused_total", "Plans of the policy that broke a rule.",
                 static_cast<double>(stats.plans_refused));
    page.counter("tenon_sequences_finished_total", "Sequences that ended by themselves.",
                 static_cast<double>(stats.finished));
    page.counter("tenon_sequences_cancelled_total", "Sequences that were cancelled.",
                 static_cast<double>(stats.cancelled));
    page.counter("tenon_sequences_failed_total", "Sequences that ended in an error.",
                 static_cast<double>(stats.failed));
    page.counter("tenon_engine_steps_total", "Steps computed.", static_cast<double>(stats.steps));
    page.counter("tenon_engine_restarts_total", "Engine processes started again.",
                 static_cast<double>(stats.restarts));
    page.gauge("tenon_engine_last_step_timestamp_seconds", "When the last step ended.",
               seconds_since_1970() - stats.last_step_age_ms / 1000);
    page.gauge("tenon_engine_busy_ratio", "Share of the last ten seconds inside steps.",
               stats.busy_ratio);
    page.gauge("tenon_new_token_ratio", "Expected share of the answers' limits that is drawn.",
               stats.new_token_ratio);
    page.gauge("tenon_generation_tokens_per_second", "Tokens drawn, over the last ten seconds.",
               stats.tokens_per_second);
    page.gauge("tenon_policy_info", "Policy whose plan was last used; always 1.", 1,
               {{"policy", stats.effective_policy}});
    if (info != nullptr) {
        page.gauge("tenon_model_info", "The model; always 1.", 1,
                   {{"model", info->model_name},
                    {"architecture", info->architecture},
                    {"backend", info->backend},
                    {"device", info->device}});
        page.gauge("tenon_context_length_tokens", "Positions that a sequence may hold.",
                   info->context_length);
    }
}

void Metrics::Impl::add_devices(Page& page, const engine::EngineStats* stats) {
    const std::vector<DeviceUse> devices =
        sources.devices ? sources.devices() : std::vector<DeviceUse>();
    const char* help = "Share of time in which the device computed.";
    for (size_t i = 0; i < devices.size(); ++i) {
        page.gauge("tenon_device_utilization_ratio", help, devices[i].utilization,
                   {{"device", std::to_string(i)}, {"source", "nvml"}});
    }
    if (devices.empty() && stats != nullptr) {
        page.gauge("tenon_device_utilization_ratio", help, stats->busy_ratio,
                   {{"device", "0"}, {"source", "engine"}});
    }
    for (size_t i = 0; i < devices.size(); ++i) {
        const char* memory = "Memory of the device.";
        const std::string number = std::to_string(i);
        page.gauge("tenon_device_memory_bytes", memory, static_cast<double>(devices[i].memory_used),
                   {{"device", number}, {"kind", "used"}});
        page.gauge("tenon_device_memory_bytes", memory,
                   static_cast<double>(devices[i].memory_total),
                   {{"device", number}, {"kind", "total"}});
    }
}

void Metrics::Impl::add_process(Page& page) {
    net::ServerStats sum;
    for (const net::ServerStats& one :
         sources.servers ? sources.servers() : std::vector<net::ServerStats>()) {
        sum.connections += one.connections;
        sum.accepted += one.accepted;
        sum.refused += one.refused;
        sum.timeouts += one.timeouts;
        sum.client_errors += one.client_errors;
    }
    page.gauge("tenon_connections", "Open connections.", static_cast<double>(sum.connections));
    page.counter("tenon_connections_accepted_total", "Connections accepted.",
                 static_cast<double>(sum.accepted));
    page.counter("tenon_connections_refused_total", "Connections refused by a limit.",
                 static_cast<double>(sum.refused));
    page.counter("tenon_http_timeouts_total", "Clocks of a connection that fired.",
                 static_cast<double>(sum.timeouts));
    page.counter("tenon_http_errors_total", "Requests that were not HTTP or broke a limit.",
                 static_cast<double>(sum.client_errors));
    if (sources.log_dropped) {
        page.counter("tenon_log_dropped_total", "Lines of the log that were dropped.",
                     static_cast<double>(sources.log_dropped()));
    }
    if (sources.certificate_expires_in) {
        if (const std::optional<int64_t> seconds = sources.certificate_expires_in()) {
            page.gauge("tenon_certificate_expiry_seconds", "Until the certificate expires.",
                       static_cast<double>(*seconds));
        }
    }
    page.gauge("process_start_time_seconds", "Start of the process since 1970.", started);
    page.gauge("process_resident_memory_bytes", "Resident memory of the process.",
               resident_bytes());
    page.gauge("process_open_fds", "Open file descriptors of the process.", open_files());
}

std::string Metrics::render() {
    Page page;
    impl_->add_server(page);
    const std::optional<engine::EngineStats> stats =
        impl_->sources.engine ? impl_->sources.engine() : std::nullopt;
    const std::shared_ptr<const engine::EngineInfo> info =
        impl_->sources.info ? impl_->sources.info() : nullptr;
    if (stats) impl_->add_engine(page, *stats, info.get());
    impl_->add_devices(page, stats ? &*stats : nullptr);
    impl_->add_process(page);
    const AliasFacts facts{info ? info->model_name : "", info ? info->block_tokens : 0};
    if (impl_->options.vllm) add_vllm_names(page.families, facts);
    if (impl_->options.sglang) add_sglang_names(page.families, facts);
    std::ostringstream text;
    prometheus::TextSerializer().Serialize(text, page.families);
    return text.str();
}

}  // namespace tenon::server
