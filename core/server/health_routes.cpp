// Who is alive, who is ready, what runs here.
#include "core/base/json_writer.h"
#include "core/server/admission.h"
#include "core/server/request_ids.h"
#include "core/server/service.h"

#include <tenon/abi.h>

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

namespace tenon::server {

namespace {

using Context = std::shared_ptr<RequestContext>;

// Why new work would not be computed soon; empty: it would.
std::string not_ready(const Service& service) {
    if (service.is_draining.load()) return "draining";
    if (!service.is_loaded.load() || service.engine == nullptr) return "loading";
    const engine::EngineStats stats = service.engine->stats();
    if (!stats.is_ready) return stats.not_ready.empty() ? "not ready" : stats.not_ready;
    return {};
}

void answer_state(const Service& service, RequestContext& context, const std::string& fault) {
    if (fault.empty()) return context.respond_json("{\"status\":\"ok\"}");
    ApiError error{
        503, "server_error", fault, "", fmt::format("The server is not ready: {}.", fault), 1};
    if (fault.find(' ') != std::string::npos) error.code = "not_ready";
    static_cast<void>(service);
    context.fail(error);
}

// One generated token for any number of probes: while one runs, the others wait for it.
class Probe : public std::enable_shared_from_this<Probe> {
public:
    explicit Probe(Service& service) : service_(service) {}

    void answer(Context context) {
        const std::string fault = not_ready(service_);
        if (!fault.empty()) return answer_state(service_, *context, fault);
        bool must_start = false;
        {
            const std::lock_guard lock(mutex_);
            const uint64_t output = service_.engine->stats().output_tokens;
            waiting_.push_back({std::move(context), output});
            must_start = !std::exchange(is_running_, true);
        }
        if (must_start) start();
    }

    // A sequence of the probe ended, or others' output shows that the engine works.
    void on_finish(const engine::Finish& finish) {
        std::vector<Waiter> done;
        {
            const std::lock_guard lock(mutex_);
            done.swap(waiting_);
            is_running_ = false;
        }
        const uint64_t output = service_.engine->stats().output_tokens;
        const bool ok = finish.reason == engine::FinishReason::kLength ||
                        finish.reason == engine::FinishReason::kStop;
        for (const Waiter& waiter : done) {
            // Output newer than the probe proves as much as the probe's own token.
            if (ok || output > waiter.output_before) {
                waiter.context->respond_json("{\"status\":\"ok\"}");
            } else {
                answer_state(service_, *waiter.context, "no token came out");
            }
        }
    }

private:
    struct Waiter {
        Context context;
        uint64_t output_before;  // tokens drawn when the probe came
    };

    class Sink : public engine::OutputSink {
    public:
        explicit Sink(std::shared_ptr<Probe> probe) : probe_(std::move(probe)) {}
        void on_delta(engine::OutputDelta&& delta) override {
            if (delta.finish) probe_->on_finish(*delta.finish);
        }
        bool on_engine_lost() override { return false; }

    private:
        std::shared_ptr<Probe> probe_;
    };

    void start() {
        engine::GenerationRequest request;
        request.id = next_generation_id();
        request.prompt = {0};
        request.max_tokens = 1;
        request.ignore_eos = true;
        request.sampling.temperature = 0;
        request.deadline_ms = service_.timeouts.health.ms;
        request.cache_scope = "probe";
        // Ahead of the queue: it asks whether the engine moves, not how long the queue is.
        request.priority = 1'000'000;
        service_.engine->submit(std::move(request), std::make_shared<Sink>(shared_from_this()));
    }

    Service& service_;
    std::mutex mutex_;
    std::vector<Waiter> waiting_;
    bool is_running_ = false;
};

void write_stats(JsonWriter& json, const engine::EngineStats& stats) {
    json.field("is_ready", stats.is_ready);
    if (!stats.not_ready.empty()) json.field("not_ready", stats.not_ready);
    json.field("running", stats.running).field("waiting", stats.waiting);
    json.field("paused", stats.paused);
    json.field("blocks_free", stats.blocks_free).field("blocks_cached", stats.blocks_cached);
    json.field("blocks_used", stats.blocks_used).field("steps", stats.steps);
    json.field("prompt_tokens", stats.prompt_tokens).field("cached_tokens", stats.cached_tokens);
    json.field("output_tokens", stats.output_tokens).field("retractions", stats.retractions);
    json.field("restarts", stats.restarts).field("new_token_ratio", stats.new_token_ratio);
    json.field("busy_ratio", stats.busy_ratio).field("tokens_per_second", stats.tokens_per_second);
    json.field("last_step_age_ms", stats.last_step_age_ms);
    json.field("effective_policy", stats.effective_policy);
}

std::string loads_json(const Service& service) {
    const engine::EngineStats stats = service.engine->stats();
    const double blocks = stats.blocks_free + stats.blocks_cached + stats.blocks_used;
    const auto info = service.engine->info();
    JsonWriter json;
    json.begin_object().key("loads").begin_array().begin_object();
    json.field("dp_rank", 0);
    json.field("num_running_reqs", stats.running).field("num_waiting_reqs", stats.waiting);
    json.field("num_total_reqs", stats.running + stats.waiting);
    json.field("token_usage", blocks > 0 ? stats.blocks_used / blocks : 0.0);
    json.field("num_used_tokens", uint64_t{stats.blocks_used} * (info ? info->block_tokens : 0));
    json.field("max_running_requests", info ? info->max_running_requests : 0u);
    json.field("gen_throughput", stats.tokens_per_second);
    json.field("busy_ratio", stats.busy_ratio);
    if (service.admission != nullptr) {
        json.field("num_queue_reqs", service.admission->waiting());
    }
    json.end_object().end_array().end_object();
    return json.text();
}

std::string server_info_json(const Service& service) {
    JsonWriter json;
    json.begin_object().field("version", service.version);
    json.array("served_model_names", service.model_names);
    const auto info = service.engine->info();
    std::string memory;
    if (info) {
        json.key("model").begin_object().field("name", info->model_name);
        json.field("architecture", info->architecture).field("parameters", info->parameters);
        json.field("vocab_size", info->vocab_size).field("embedding_size", info->embedding_size);
        json.end_object().key("engine").begin_object();
        json.field("device", info->device).field("backend", info->backend);
        json.field("policy", info->policy).field("deterministic", info->deterministic);
        json.field("context_length", info->context_length);
        json.field("max_running_requests", info->max_running_requests);
        json.field("block_tokens", info->block_tokens).field("kv_blocks", info->kv_blocks);
        json.field("max_total_tokens", uint64_t{info->block_tokens} * info->kv_blocks);
        json.end_object();
        memory = info->memory_json;
    }
    json.key("stats").begin_object();
    write_stats(json, service.engine->stats());
    json.end_object();
    std::string text = json.text();
    if (!memory.empty()) text += ",\"memory\":" + memory;
    return text + "}";
}

}  // namespace

void add_health_routes(RouteTable& table, Service& service) {
    const auto add = [&](const char* path, Access access, const char* summary, RouteHandler run) {
        table.add({"GET", path, access, false, false, summary, std::move(run)});
    };
    add("/livez", Access::kPublic, "200 while the process answers",
        [](Context context) { context->respond_json("{\"status\":\"ok\"}"); });
    add("/health", Access::kPublic, "200 when the model is loaded and computes; 503 before",
        [&service](Context context) { answer_state(service, *context, not_ready(service)); });
    add("/readyz", Access::kPublic, "200 when new work is taken; 503 while draining or full",
        [&service](Context context) {
            std::string fault = not_ready(service);
            if (fault.empty() && service.admission != nullptr &&
                service.admission->waiting() >= service.limits.queue_requests) {
                fault = "queue full";
            }
            answer_state(service, *context, fault);
        });
    const auto probe = std::make_shared<Probe>(service);
    add("/health_generate", Access::kPublic, "200 when a token came out after the probe was sent",
        [probe](Context context) { probe->answer(std::move(context)); });
    add("/server_info", Access::kKey, "model, engine, memory plan and figures",
        [&service](Context context) { context->respond_json(server_info_json(service)); });
    add("/v1/loads", Access::kKey, "load of the engine, for routers",
        [&service](Context context) { context->respond_json(loads_json(service)); });
    add("/version", Access::kKey, "version of the server", [&service](Context context) {
        JsonWriter json;
        json.begin_object().field("version", service.version);
        json.field("abi", TENON_ABI_VERSION).field("abi_revision", TENON_ABI_REVISION).end_object();
        context->respond_json(json.text());
    });
}

}  // namespace tenon::server
