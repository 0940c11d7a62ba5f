#include "core/engine/engine.h"

#include "core/engine/device.h"
#include "core/engine/engine_core.h"
#include "core/engine/inbox.h"
#include "core/engine/loaded_model.h"
#include "core/engine/memory_plan.h"
#include "core/engine/policy.h"
#include "core/engine/runner_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <thread>

namespace tenon::engine {

namespace {

constexpr double kWindowMs = 10'000;  // of busy_ratio and tokens_per_second
constexpr double kSnapshotMs = 20;    // between two snapshots while working
constexpr int kIdleWaitMs = 500;      // an idle engine still tells that it lives
constexpr int kStuckWaitMs = 10;      // work waits, and no step can take it

double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Sums over the last kWindowMs, in two halves.
class Window {
public:
    void add(double busy_ms, uint64_t tokens) {
        roll();
        busy_[0] += busy_ms;
        tokens_[0] += static_cast<double>(tokens);
    }
    double busy_ratio() {
        roll();
        return std::min(1.0, (busy_[0] + busy_[1]) / length());
    }
    double tokens_per_second() {
        roll();
        return 1000 * (tokens_[0] + tokens_[1]) / length();
    }

private:
    double length() const { return std::max(1.0, before_ms_ + ms_since(start_)); }
    void roll() {
        const double age = ms_since(start_);
        if (age < kWindowMs / 2) return;
        const bool follows = age < kWindowMs;
        busy_[1] = follows ? busy_[0] : 0;
        tokens_[1] = follows ? tokens_[0] : 0;
        before_ms_ = follows ? age : 0;
        busy_[0] = tokens_[0] = 0;
        start_ = Clock::now();
    }
    Clock::time_point start_ = Clock::now();
    double before_ms_ = 0, busy_[2] = {}, tokens_[2] = {};
};

class Engine final : public EngineClient {
public:
    static Result<std::unique_ptr<EngineClient>> create(EngineStart start);
    ~Engine() override {
        is_stopping_.store(true, std::memory_order_release);
        inbox_.wake();
        if (thread_.joinable()) thread_.join();
    }

    void submit(GenerationRequest request, std::shared_ptr<OutputSink> sink) override {
        Command command{Command::Kind::kSubmit};
        command.id = request.id;
        command.request = std::make_unique<GenerationRequest>(std::move(request));
        command.sink = std::move(sink);
        inbox_.push(std::move(command));
    }
    void cancel(GenerationId id) override { send(Command::Kind::kCancel, id); }
    void pause(GenerationId id, bool paused) override {
        send(paused ? Command::Kind::kPause : Command::Kind::kResume, id);
    }
    void flush_cache() override { send(Command::Kind::kFlushCache, 0); }
    std::shared_ptr<const EngineInfo> info() const override { return info_; }
    EngineStats stats() const override {
        EngineStats stats;
        Clock::time_point taken;
        {
            const std::lock_guard lock(snapshot_mutex_);
            stats = snapshot_;
            taken = snapshot_taken_;
        }
        stats.last_step_age_ms += ms_since(taken);
        if (start_.progress != nullptr) {
            stats.progress = start_.progress->load(std::memory_order_relaxed);
        }
        return stats;
    }
    bool drain(uint32_t budget_ms) override {
        send(Command::Kind::kClose, 0);
        const Clock::time_point begun = Clock::now();
        // In this order: the thread says that it is not idle before it empties the inbox.
        while (!inbox_.is_empty() || !is_idle_.load(std::memory_order_acquire)) {
            if (ms_since(begun) >= budget_ms) {
                is_stopping_.store(true, std::memory_order_release);
                inbox_.wake();
                return false;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return true;
    }

private:
    explicit Engine(EngineStart start) : start_(std::move(start)) {}
    void send(Command::Kind kind, GenerationId id) {
        Command command{kind};
        command.id = id;
        inbox_.push(std::move(command));
    }
    Status prove();
    void describe(const OpenedDevice& device, const MemoryPlan& plan);
    void run();
    void publish();

    EngineStart start_;
    std::shared_ptr<const EngineInfo> info_;
    std::unique_ptr<LoadedModel> model_;
    std::unique_ptr<ModelRunner> runner_;
    std::unique_ptr<sched::Scheduler> scheduler_;
    std::unique_ptr<EngineCore> core_;  // touched by the engine's thread alone
    Inbox<Command> inbox_;
    std::atomic<bool> is_stopping_{false}, is_idle_{true};
    Window window_;
    Clock::time_point last_step_ = Clock::now(), last_snapshot_;
    uint64_t tokens_told_ = 0;
    mutable std::mutex snapshot_mutex_;  // held for a copy, once in kSnapshotMs
    EngineStats snapshot_;
    Clock::time_point snapshot_taken_ = Clock::now();
    std::thread thread_;
};

Result<std::unique_ptr<EngineClient>> Engine::create(EngineStart start) {
    std::unique_ptr<Engine> engine(new Engine(std::move(start)));
    const config::EngineConfig& config = engine->start_.config;
    TENON_TRY(LoadedModel model, LoadedModel::open(engine->start_.model, config));
    engine->model_ = std::make_unique<LoadedModel>(std::move(model));
    TENON_TRY(OpenedDevice device, open_device(config));

    RunnerOptions options;
    TENON_TRY(options, configure(config, std::move(options)));
    options.end = model::StepShape::End::kSampleAndLogits;
    options.embeddings = true;
    options.on_load = engine->start_.on_load;
    // A word that only this process counts in; the device raises it as plain memory.
    static_assert(sizeof(std::atomic<uint64_t>) == sizeof(uint64_t));
    options.progress = reinterpret_cast<uint64_t*>(engine->start_.progress);
    const bool is_cpu = device.info.kind == TENON_DEVICE_CPU;
    TENON_TRY(const HostMemory host, read_host_memory());
    TENON_TRY(const MemoryPlan plan,
              plan_memory(device.device, device.info, host, *engine->model_->model,
                          std::move(options), memory_request(config)));
    engine->describe(device, plan);
    TENON_TRY(engine->runner_, ModelRunner::create(std::move(device.device), *engine->model_->model,
                                                   engine->model_->source, plan.runner));

    sched::SchedulerOptions how;
    how.chunked_prefill_size = config.chunked_prefill_size;
    how.step_ms_max = config.step_ms_max;
    how.schedule_conservativeness = config.schedule_conservativeness;
    TENON_TRY(std::unique_ptr<host::SchedPolicy> policy, open_policy(config));
    engine->scheduler_ = std::make_unique<sched::Scheduler>(std::move(policy), how);
    CoreOptions core;
    core.max_running_requests = engine->runner_->options().sequences_max;
    core.retract_every = engine->start_.retract_every;
    core.on_step_end = engine->start_.on_step_end;
    core.use_radix_cache = !config.disable_radix_cache;
    core.eviction = config.radix_eviction == "slru" ? kv::Eviction::kSlru : kv::Eviction::kLru;
    core.key_kv_percent = config.key_kv_percent;
    core.prefill_bias = static_cast<float>(config.prefill_bias);
    core.overlap = config.overlap == "auto" ? !is_cpu : config.overlap == "on";
    engine->core_ = std::make_unique<EngineCore>(*engine->runner_, engine->model_->tokenizer,
                                                 *engine->scheduler_, std::move(core));
    TENON_CHECK(engine->prove());
    engine->publish();
    engine->thread_ = std::thread([raw = engine.get()] { raw->run(); });
    return std::unique_ptr<EngineClient>(std::move(engine));
}

// A server that never computed anything is not ready: one token, from whatever the model begins
// with.
Status Engine::prove() {
    TENON_TRY(Sequence sequence, runner_->open());
    const int32_t first = model_->tokenizer.bos().value_or(0);
    const StepItem item{&sequence, {&first, 1}, 1, nullptr};
    TENON_CHECK(runner_->step({&item, 1}));
    if (runner_->sampled()[0] < 0) {
        return Error{Code::kData, fmt::format("{}: the first token's logits hold NaN or infinity; "
                                              "the weights are damaged",
                                              start_.model)};
    }
    return {};
}

void Engine::run() {
    while (!is_stopping_.load(std::memory_order_acquire)) {
        if (!inbox_.is_empty()) is_idle_.store(false, std::memory_order_release);
        inbox_.drain([&](Command&& command) { core_->obey(std::move(command)); });
        const Clock::time_point begun = Clock::now();
        is_idle_.store(core_->is_idle(), std::memory_order_release);
        if (start_.is_busy != nullptr) {
            start_.is_busy->store(core_->is_idle() ? 0 : 1, std::memory_order_relaxed);
        }
        const bool has_failed = core_->failure().has_value();
        const bool worked = !has_failed && core_->step();
        if (worked) {
            last_step_ = Clock::now();
            if (start_.progress != nullptr) {
                start_.progress->fetch_add(1, std::memory_order_relaxed);
            }
            window_.add(ms_since(begun), 0);
            if (ms_since(last_snapshot_) >= kSnapshotMs) publish();
        }
        if (!has_failed && core_->failure()) {
            publish();
            if (start_.on_failed) start_.on_failed(*core_->failure());
        }
        if (worked) continue;
        // A cancel or a clock may have ended something without a step.
        if (start_.on_step_end) start_.on_step_end();
        publish();
        is_idle_.store(core_->is_idle(), std::memory_order_release);
        if (start_.is_busy != nullptr) start_.is_busy->store(0, std::memory_order_relaxed);
        inbox_.wait(core_->is_idle() ? kIdleWaitMs : kStuckWaitMs);
    }
    inbox_.drain([&](Command&& command) { core_->obey(std::move(command)); });
    core_.reset();  // ends what is left
    if (start_.on_step_end) start_.on_step_end();
    is_idle_.store(true, std::memory_order_release);
}

void Engine::publish() {
    EngineStats stats;
    core_->fill(stats);
    window_.add(0, stats.output_tokens - tokens_told_);
    tokens_told_ = stats.output_tokens;
    stats.is_ready = !core_->failure();
    if (core_->failure()) stats.not_ready = "device lost";
    stats.busy_ratio = window_.busy_ratio();
    stats.tokens_per_second = window_.tokens_per_second();
    stats.last_step_age_ms = ms_since(last_step_);
    last_snapshot_ = Clock::now();
    const std::lock_guard lock(snapshot_mutex_);
    snapshot_ = std::move(stats);
    snapshot_taken_ = last_snapshot_;
}

void Engine::describe(const OpenedDevice& device, const MemoryPlan& plan) {
    const model::ModelConfig& config = model_->model->config();
    auto info = std::make_shared<EngineInfo>();
    const size_t slash = start_.model.find_last_of('/');
    info->model_name = !config.name.empty()         ? config.name
                       : slash != std::string::npos ? start_.model.substr(slash + 1)
                                                    : start_.model;
    info->architecture = config.architecture;
    for (const model::WeightSpec& weight : model_->model->weights()) {
        if (weight.stored != nullptr)
            info->parameters +=
                static_cast<uint64_t>(weight.rows) * static_cast<uint64_t>(weight.cols);
    }
    info->vocab_size = config.vocab_size;
    info->context_length = plan.runner.context_length;
    info->max_running_requests = plan.max_running_requests;
    info->block_tokens = kBlockTokens;
    info->kv_blocks = plan.kv_blocks;
    info->memory_json = plan.to_json();
    info->embedding_size = config.hidden_size;
    info->device = fmt::format("{} ({})", device.info.name, device.info.detail);
    info->backend = device.backend;
    info->policy = start_.config.policy;
    info->deterministic = start_.config.deterministic;
    info_ = std::move(info);
}

}  // namespace

Result<std::unique_ptr<EngineClient>> start_engine(EngineStart start) {
    return Engine::create(std::move(start));
}

}  // namespace tenon::engine
