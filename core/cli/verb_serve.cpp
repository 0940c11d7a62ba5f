// tenon serve MODEL: the server, from its first line to its last.
#include "core/cli/plugin_log.h"
#include "core/cli/sd_notify.h"
#include "core/cli/serve_arguments.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/config/environment.h"
#include "core/config/yaml.h"
#include "core/engine/engine.h"
#include "core/engine/engine_link.h"
#include "core/host/nvml.h"
#include "core/hub/resolve.h"
#include "core/server/front.h"
#include "core/server/json_body.h"
#include "core/server/metrics.h"
#include "core/server/service.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <mutex>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

namespace tenon::cli {

namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick{100};
// What the manager is asked to wait for longer with every tick of loading.
constexpr const char* kExtend = "EXTEND_TIMEOUT_USEC=30000000";

double seconds_since(Steady::time_point start) {
    return std::chrono::duration<double>(Steady::now() - start).count();
}

LogLevel level_of(const std::string& name) {
    for (const LogLevel level : {LogLevel::kError, LogLevel::kWarn, LogLevel::kInfo})
        if (name == name_of(level)) return level;
    return LogLevel::kDebug;
}

std::vector<server::DeviceUse> read_devices(host::Nvml* nvml) {
    std::vector<server::DeviceUse> uses;
    if (nvml == nullptr) return uses;
    for (const host::NvmlDevice& device : nvml->read())
        uses.push_back({device.name, device.utilization, device.memory_used, device.memory_total});
    return uses;
}

// The terms of EngineInfo::memory_json, one a line.
std::string memory_lines(const std::string& json) {
    server::JsonBody body;
    if (json.empty() || server::JsonBody::parse(json, config::Limits(), body)) return {};
    std::string lines;
    const auto terms = body.root().find("terms");
    if (!terms) return {};
    terms->for_items([&](server::JsonView term) {
        const auto name = term.find("name"), bytes = term.find("bytes"),
                   formula = term.find("formula");
        if (!name || !bytes || !formula) return;
        lines +=
            fmt::format("{}{:8}{:9.1f} MiB  {}\n", lines.empty() ? "  memory    " : "            ",
                        name->as_string(), bytes->as_number() / (1 << 20), formula->as_string());
    });
    return lines;
}

// A model file that is not one is told before anything listens.
Status check_model_file(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
        return Error{Code::kConfig, fmt::format("model {}: {}", path, std::strerror(errno))};
    }
    if (!S_ISREG(status.st_mode)) {
        return Error{Code::kConfig, fmt::format("model {}: it is not a plain file", path)};
    }
    return {};
}

// The loading of a model, on a thread of its own, so that signals are heard meanwhile.
class Loader {
public:
    Loader(const config::ServeConfig& config, std::string path, Log& log)
        : config_(config), path_(std::move(path)), log_(log) {}
    ~Loader() {
        if (thread_.joinable()) thread_.join();
    }

    void start() {
        thread_ = std::thread([this] {
            const Status status = load();
            const std::lock_guard lock(mutex_);
            if (!status.ok()) failure_ = status.error();
        });
    }

    // The engine was ready once; everything below may be used.
    bool is_ready() const { return is_ready_.load(); }
    std::optional<Error> failure() const {
        const std::lock_guard lock(mutex_);
        return failure_;
    }
    uint32_t percent() const { return percent_.load(); }
    double load_seconds() const { return load_seconds_.load(); }
    engine::EngineClient& engine() { return *engine_; }
    const engine::LoadedModel& model() const { return *model_; }
    // Ends every request and the engine.
    void stop() {
        if (thread_.joinable()) thread_.join();
        engine_.reset();
    }

private:
    Status load() {
        const Steady::time_point start = Steady::now();
        TENON_TRY(engine::LoadedModel model, engine::LoadedModel::open(path_, config_.engine));
        model_.emplace(std::move(model));
        const auto on_load = [this](uint64_t done, uint64_t total) {
            percent_ = total > 0 ? static_cast<uint32_t>(100 * done / total) : 0;
        };
        const auto on_failed = [this](const Error& error) {
            const std::lock_guard lock(mutex_);
            failure_ = error;
        };
        if (config_.in_process) {
            engine::EngineStart begin;
            begin.model = path_;
            begin.config = config_.engine;
            begin.on_load = on_load;
            begin.on_failed = on_failed;
            TENON_TRY(engine_, engine::start_engine(std::move(begin)));
            load_seconds_ = seconds_since(start);
            is_ready_ = true;
            return {};
        }
        engine::EngineProcessOptions begin;
        begin.model = path_;
        begin.config = config_.engine;
        begin.stall_unready_ms = config_.limits.stall_unready_ms;
        begin.stall_abort_ms = config_.limits.stall_abort_ms;
        begin.on_load = on_load;
        begin.on_failed = on_failed;
        begin.on_log = [this](std::string_view line) {
            log_.write(LogLevel::kWarn, "engine", {{"line", line}});
        };
        begin.on_ready = [this, start](const engine::EngineInfo&) {
            if (load_seconds_.load() == 0) load_seconds_ = seconds_since(start);
            is_ready_ = true;
        };
        TENON_TRY(engine_, engine::start_engine_process(std::move(begin)));
        return {};
    }

    const config::ServeConfig& config_;
    const std::string path_;
    Log& log_;
    mutable std::mutex mutex_;
    std::optional<Error> failure_;
    std::atomic<bool> is_ready_{false};
    std::atomic<uint32_t> percent_{0};
    std::atomic<double> load_seconds_{0};
    std::optional<engine::LoadedModel> model_;
    std::unique_ptr<engine::EngineClient> engine_;
    std::thread thread_;
};

class Serving {
public:
    Serving(config::ServeConfig config, const ServeArguments& arguments)
        : config_(std::move(config)),
          arguments_(arguments),
          manager_(config::read_variable("NOTIFY_SOCKET")) {}

    Result<int> run(const std::string& path);

private:
    void on_ready();
    void reload();
    void beat();
    // Nothing while it goes on; else the exit code.
    std::optional<int> tick_drain();
    void begin_drain(bool at_once);

    config::ServeConfig config_;
    const ServeArguments& arguments_;
    ServiceManager manager_;
    std::unique_ptr<host::Nvml> nvml_;
    const Steady::time_point started_ = Steady::now();
    std::unique_ptr<Log> log_;
    std::optional<PluginLog> plugin_log_;
    std::unique_ptr<server::Front> front_;
    std::unique_ptr<Loader> loader_;  // goes before the front: its last sinks write there
    bool is_ready_ = false;
    std::optional<Steady::time_point> drain_began_;
    milliseconds drain_delay_{0};
    bool refuses_ = false;
    std::optional<std::chrono::microseconds> watchdog_;
    Steady::time_point last_beat_{}, last_tend_{}, last_status_{};
    uint64_t last_progress_ = 0;
    Steady::time_point progress_at_ = Steady::now();
};

void Serving::on_ready() {
    is_ready_ = true;
    front_->attach(loader_->engine(), loader_->model());
    front_->note_startup(seconds_since(started_), loader_->load_seconds());
    const auto info = loader_->engine().info();
    const std::string ready = fmt::format("ready after {:.2f} s", seconds_since(started_));
    log_->write(LogLevel::kInfo, ready,
                {{"model", info->model_name},
                 {"device", info->device},
                 {"backend", info->backend},
                 {"policy", info->policy},
                 {"context_length", info->context_length},
                 {"max_running_requests", info->max_running_requests},
                 {"kv_tokens", uint64_t{info->kv_blocks} * info->block_tokens},
                 {"url", front_->url()}});
    if (config_.log.format == "text" && config_.log.file.empty()) {
        const std::string name = front_->service().model_names.front();
        fmt::print(
            stderr,
            "\n  model     {} ({})\n  device    {}, backend {}\n  context   {} tokens, {} "
            "sequences at once, {} tokens of KV\n{}  API       {}/v1  (model '{}')\n  metrics "
            "  {}/metrics\n\n  curl {}/v1/chat/completions -H 'Content-Type: "
            "application/json' -d "
            "'{{\"model\":\"{}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'"
            "\n\n",
            info->model_name, info->architecture, info->device, info->backend, info->context_length,
            info->max_running_requests, uint64_t{info->kv_blocks} * info->block_tokens,
            memory_lines(info->memory_json), front_->url(), name, front_->admin_url(),
            front_->url(), name);
    }
    manager_.notify(fmt::format("READY=1\nSTATUS=serving on {}", front_->url()));
}

void Serving::reload() {
    manager_.notify("RELOADING=1");
    front_->reload();
    const auto note = [&](const char* what, const Status& status) {
        front_->service().metrics->on_reload(what, status.ok());
        if (status.ok()) return;
        log_->write(LogLevel::kError, "not reloaded; the old one stays",
                    {{"what", what}, {"error", status.error().message}});
    };
    config::ServeConfig fresh;
    const Status read = arguments_.resolve(fresh);
    if (read.ok()) log_->set_level(level_of(fresh.log.level));
    note("config", read);
    note("log", log_->reopen());
    manager_.notify("READY=1");
}

void Serving::beat() {
    const Steady::time_point now = Steady::now();
    if (now - last_tend_ >= milliseconds(250)) {
        last_tend_ = now;
        front_->tend();
    }
    if (!is_ready_) {
        if (now - last_status_ >= std::chrono::seconds(1)) {
            last_status_ = now;
            manager_.notify(fmt::format("{}\nSTATUS=loading {} %", kExtend, loader_->percent()));
        }
    } else {
        // In this process nobody else watches the engine: a step without progress is no sign of life.
        const engine::EngineStats stats = loader_->engine().stats();
        const bool has_work = stats.running > 0 || stats.waiting > 0;
        if (stats.progress != last_progress_ || !has_work) {
            last_progress_ = stats.progress;
            progress_at_ = now;
        }
        if (config_.in_process &&
            now - progress_at_ > milliseconds(config_.limits.stall_abort_ms)) {
            return;
        }
    }
    if (watchdog_ && now - last_beat_ >= *watchdog_ / 2) {
        last_beat_ = now;
        manager_.notify("WATCHDOG=1");
    }
}

void Serving::begin_drain(bool at_once) {
    drain_began_ = Steady::now();
    drain_delay_ = milliseconds(at_once ? 0 : config_.limits.drain_delay_ms);
    front_->announce_drain();
    manager_.notify("STOPPING=1\nSTATUS=draining");
    log_->write(LogLevel::kInfo, "draining",
                {{"delay_ms", static_cast<int64_t>(drain_delay_.count())},
                 {"budget_ms", config_.limits.drain_budget_ms}});
}

std::optional<int> Serving::tick_drain() {
    const auto age = Steady::now() - *drain_began_;
    if (age >= milliseconds(config_.limits.drain_budget_ms)) {
        log_->write(LogLevel::kWarn, "the drain budget is over; what still runs is cut");
        return front_->is_idle() ? kExitOk : kExitFailure;
    }
    if (age < drain_delay_) return std::nullopt;
    if (!refuses_) {
        refuses_ = true;
        front_->refuse_new();
    }
    if (front_->is_idle()) return kExitOk;
    return std::nullopt;
}

Result<int> Serving::run(const std::string& path) {
    // Before any thread: all of them inherit it, and signals come to this loop alone.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    watchdog_ = watchdog_interval(config::read_variable("WATCHDOG_USEC"),
                                  config::read_variable("WATCHDOG_PID"));

    LogOptions log;
    log.file = config_.log.file;
    log.json = config_.log.format == "json";
    log.level = level_of(config_.log.level);
    log.line_bytes = config_.limits.log_line_bytes;
    log.lines_per_second = config_.limits.log_lines_per_second;
    TENON_TRY(log_, Log::open(std::move(log)));
    plugin_log_.emplace(*log_);
    nvml_ = host::Nvml::open();
    server::FrontOptions options;
    options.config = config_;
    options.version = TENON_VERSION;
    options.log = log_.get();
    if (nvml_) options.devices = [this] { return read_devices(nvml_.get()); };
    TENON_TRY(front_, server::Front::start(std::move(options)));
    log_->write(LogLevel::kInfo, "listening; the model is loading",
                {{"url", front_->url()}, {"metrics", front_->admin_url()}, {"model", path}});
    loader_ = std::make_unique<Loader>(config_, path, *log_);
    loader_->start();

    std::optional<int> code;
    while (!code) {
        const timespec tick{0,
                            std::chrono::nanoseconds(is_ready_ ? kTick : milliseconds(5)).count()};
        const int signal = sigtimedwait(&signals, nullptr, &tick);
        if (signal == SIGHUP) {
            reload();
        } else if (signal == SIGTERM || signal == SIGINT) {
            // The second one, and one before anything could run, is "now".
            if (drain_began_ || !is_ready_) {
                code = is_ready_ && !front_->is_idle() ? kExitFailure : kExitOk;
                break;
            }
            begin_drain(signal == SIGINT);
        }
        if (!is_ready_ && loader_->is_ready()) on_ready();
        if (const std::optional<Error> failure = loader_->failure()) {
            log_->write(LogLevel::kError, "the engine failed", {{"error", failure->message}});
            if (!is_ready_ || config_.in_process) {
                front_->stop_now();
                loader_->stop();
                return *failure;
            }
        }
        beat();
        if (drain_began_) code = tick_drain();
    }
    front_->stop_now();
    loader_->stop();
    log_->write(LogLevel::kInfo, "stopped");
    log_->flush(500);
    return *code;
}

int run(int argc, char** argv) {
    Arguments arguments("serve", "Serves a model over HTTP: the OpenAI and Anthropic APIs.");
    ServeArguments serve(arguments);
    // llama-server's -np: two letters behind one dash.
    std::vector<char*> words(argv, argv + argc);
    char parallel[] = "--parallel";
    for (char*& word : words)
        if (std::string_view(word) == "-np") word = parallel;
    words.push_back(nullptr);
    if (const auto code = arguments.parse(argc, words.data())) return *code;
    config::ServeConfig config;
    if (const Status status = serve.resolve(config); !status.ok()) {
        report("serve", status.error());
        return status.error().code == Code::kConfig ? kExitConfig : kExitUsage;
    }
    if (serve.print_routes) {
        server::Service service;
        server::RouteTable table;
        server::add_all_routes(table, service);
        fmt::print("{}\n", server::routes_json(table));
        return kExitOk;
    }
    if (const Status status = config::check(config); !status.ok()) {
        return report("serve", status.error());
    }
    if (serve.print_config) {
        fmt::print("{}", config::to_yaml(config));
        return kExitOk;
    }
    if (config.model.empty()) {
        fmt::print(stderr, "tenon serve: MODEL is missing\nTry 'tenon serve --help'.\n");
        return kExitUsage;
    }
    // A server fetches nothing by itself: what is absent is said, with the command that fetches it.
    const Result<hub::FoundModel> found = hub::find_model(config.model, hub::read_places());
    if (!found.ok()) return report("serve", found.error());
    // A name is also what clients call it, unless they are told otherwise.
    if (!found->name.empty() && config.served_model_name.empty()) {
        config.served_model_name = {config.model};
    }
    const std::string& path = found->path;
    if (const Status status = check_model_file(path); !status.ok()) {
        return report("serve", status.error());
    }
    Serving serving(config, serve);
    Result<int> code = serving.run(path);
    if (!code.ok()) return report("serve", code.error());
    return *code;
}

}  // namespace

extern const Verb kVerb_serve;
const Verb kVerb_serve = {"serve", "serve a model over HTTP", true, run};

}  // namespace tenon::cli
