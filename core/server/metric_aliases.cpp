#include "core/server/metric_aliases.h"

#include <string_view>

namespace tenon::server {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct Alias {
    const char* theirs;
    const char* ours;
};

constexpr Alias kVllm[] = {
    {"vllm:num_requests_running", "tenon_requests_running"},
    {"vllm:num_requests_waiting", "tenon_requests_waiting"},
    {"vllm:kv_cache_usage_perc", "tenon_kv_cache_usage_ratio"},
    {"vllm:num_preemptions_total", "tenon_retractions_total"},
    {"vllm:prefix_cache_queries_total", "tenon_prefix_cache_queries_total"},
    {"vllm:prefix_cache_hits_total", "tenon_prefix_cache_hits_total"},
    {"vllm:prompt_tokens_total", "tenon_prompt_tokens_total"},
    {"vllm:generation_tokens_total", "tenon_generation_tokens_total"},
    {"vllm:time_to_first_token_seconds", "tenon_time_to_first_token_seconds"},
    {"vllm:inter_token_latency_seconds", "tenon_inter_token_latency_seconds"},
    {"vllm:e2e_request_latency_seconds", "tenon_e2e_request_latency_seconds"},
    {"vllm:request_queue_time_seconds", "tenon_request_queue_time_seconds"},
};

constexpr Alias kSglang[] = {
    {"sglang:num_running_reqs", "tenon_requests_running"},
    {"sglang:num_queue_reqs", "tenon_requests_waiting"},
    {"sglang:token_usage", "tenon_kv_cache_usage_ratio"},
    {"sglang:gen_throughput", "tenon_generation_tokens_per_second"},
    {"sglang:new_token_ratio", "tenon_new_token_ratio"},
    {"sglang:num_retracted_reqs", "tenon_retractions_total"},
    {"sglang:prompt_tokens_total", "tenon_prompt_tokens_total"},
    {"sglang:generation_tokens_total", "tenon_generation_tokens_total"},
    {"sglang:cached_tokens_total", "tenon_cached_tokens_total"},
    {"sglang:num_aborted_requests_total", "tenon_sequences_cancelled_total"},
    {"sglang:time_to_first_token_seconds", "tenon_time_to_first_token_seconds"},
    {"sglang:inter_token_latency_seconds", "tenon_inter_token_latency_seconds"},
    {"sglang:e2e_request_latency_seconds", "tenon_e2e_request_latency_seconds"},
    {"sglang:queue_time_seconds", "tenon_request_queue_time_seconds"},
    {"sglang:engine_startup_time", "tenon_engine_startup_seconds"},
    {"sglang:engine_load_weights_time", "tenon_engine_load_weights_seconds"},
};

const MetricFamily* find(const std::vector<MetricFamily>& families, std::string_view name) {
    for (const MetricFamily& family : families) {
        if (family.name == name) return &family;
    }
    return nullptr;
}

// Value of our counter or gauge with this label value; 0 when it is not there.
double value_of(const std::vector<MetricFamily>& families, std::string_view name,
                std::string_view label = "") {
    const MetricFamily* family = find(families, name);
    if (family == nullptr) return 0;
    for (const ClientMetric& metric : family->metric) {
        if (!label.empty() && (metric.label.empty() || metric.label[0].value != label)) continue;
        return family->type == MetricType::Counter ? metric.counter.value : metric.gauge.value;
    }
    return 0;
}

template <size_t N>
void copy(const Alias (&aliases)[N], std::vector<MetricFamily>& families, const AliasFacts& facts) {
    for (const Alias& alias : aliases) {
        const MetricFamily* ours = find(families, alias.ours);
        if (ours == nullptr) continue;
        MetricFamily theirs = *ours;
        theirs.name = alias.theirs;
        for (ClientMetric& metric : theirs.metric)
            metric.label.push_back({"model_name", facts.model});
        families.push_back(std::move(theirs));
    }
}

void add(std::vector<MetricFamily>& families, const AliasFacts& facts, const char* name,
         const char* help, MetricType type, double value) {
    ClientMetric metric;
    metric.label.push_back({"model_name", facts.model});
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    families.push_back({name, help, type, {metric}});
}

}  // namespace

void add_vllm_names(std::vector<MetricFamily>& families, const AliasFacts& facts) {
    copy(kVllm, families, facts);
    const MetricFamily* requests = find(families, "tenon_requests_total");
    if (requests == nullptr) return;
    MetricFamily success{
        "vllm:request_success_total", "Requests that ended well.", MetricType::Counter, {}};
    for (const ClientMetric& metric : requests->metric) {
        if (metric.label[0].value != "200") continue;
        ClientMetric one;
        one.label = {{"finished_reason", metric.label[1].value}, {"model_name", facts.model}};
        one.counter.value = metric.counter.value;
        success.metric.push_back(std::move(one));
    }
    if (!success.metric.empty()) families.push_back(std::move(success));
}

void add_sglang_names(std::vector<MetricFamily>& families, const AliasFacts& facts) {
    copy(kSglang, families, facts);
    if (find(families, "tenon_kv_cache_blocks") == nullptr) return;
    const double tokens = facts.block_tokens;
    const double queries = value_of(families, "tenon_prefix_cache_queries_total");
    add(families, facts, "sglang:cache_hit_rate", "Share of the prompt tokens that was found.",
        MetricType::Gauge,
        queries > 0 ? value_of(families, "tenon_prefix_cache_hits_total") / queries : 0);
    add(families, facts, "sglang:kv_available_tokens", "Tokens that fit into free blocks.",
        MetricType::Gauge, tokens * value_of(families, "tenon_kv_cache_blocks", "free"));
    add(families, facts, "sglang:kv_evictable_tokens", "Tokens of cached blocks.",
        MetricType::Gauge, tokens * value_of(families, "tenon_kv_cache_blocks", "cached"));
    add(families, facts, "sglang:kv_used_tokens", "Tokens of used blocks.", MetricType::Gauge,
        tokens * value_of(families, "tenon_kv_cache_blocks", "used"));
    add(families, facts, "sglang:evicted_tokens_total", "Tokens of dropped blocks.",
        MetricType::Counter, tokens * value_of(families, "tenon_evicted_blocks_total"));
    double requests = 0;
    if (const MetricFamily* ours = find(families, "tenon_requests_total")) {
        for (const ClientMetric& metric : ours->metric)
            requests += metric.counter.value;
    }
    add(families, facts, "sglang:num_requests_total", "Inference requests that ended.",
        MetricType::Counter, requests);
}

}  // namespace tenon::server
