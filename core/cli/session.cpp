#include "core/cli/session.h"

#include "core/base/json_writer.h"
#include "core/cli/model_file.h"
#include "core/cli/progress.h"
#include "core/config/environment.h"
#include "core/config/yaml.h"
#include "core/engine/device.h"
#include "core/engine/runner_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include <unistd.h>

namespace tenon::cli {

namespace {

constexpr size_t kTextBytesMax = 64u << 20;

uint32_t* g_cancel = nullptr;  // read by the signal handler

extern "C" void on_interrupt(int signal) {
    if (g_cancel == nullptr || __atomic_load_n(g_cancel, __ATOMIC_RELAXED) != 0) {
        std::signal(signal, SIG_DFL);
        std::raise(signal);
        return;
    }
    __atomic_store_n(g_cancel, 1u, __ATOMIC_RELAXED);
}

Status set_given(config::EngineConfig& config, const char* field, const char* flag,
                 const std::string& value) {
    if (value.empty()) return {};
    return config::set_field(config, field, value, flag);
}

}  // namespace

void declare(Arguments& arguments, EngineArguments& engine, const std::string& context) {
    arguments.positional("MODEL", engine.model, kModelHelp);
    declare_config(arguments, engine);
    arguments.option("-c,--ctx", engine.context, context, "N").sets("context_length");
    arguments.option("--compute", engine.compute, "fast or precise [fast]", "MODE").sets("compute");
}

void declare_config(Arguments& arguments, EngineArguments& engine, bool backend) {
    if (backend) {
        arguments.option("--backend", engine.backend, "backend plugin [auto]", "NAME")
            .sets("backend");
    }
    arguments.option("-t,--threads", engine.threads, "threads of a CPU backend [cores]", "N")
        .sets("threads");
    arguments.option("--config", engine.config_file, "YAML file with options", "FILE");
    arguments.option("--set", engine.settings, "any option, also BACKEND.OPTION=VALUE",
                     "KEY=VALUE");
    arguments.option("--plugin-dir", engine.plugin_dirs, "search here for plugins first", "DIR")
        .sets("plugin_dirs");
    arguments.option("--fallback", engine.fallback, "error, warn or allow [error]", "RULE")
        .sets("fallback");
}

namespace {

Status read_config(const std::string& file, config::EngineConfig& config) {
    if (!file.empty()) {
        Result<std::string> text = read_text(file);
        if (!text.ok()) return Error{Code::kConfig, text.error().message};
        TENON_CHECK(config::read_yaml(*text, file, config));
    }
    return config::read_environment(config);
}

Status read_flags(const EngineArguments& engine, config::EngineConfig& config) {
    for (const std::string& setting : engine.settings) {
        const size_t equals = setting.find('=');
        if (equals == std::string::npos) {
            return Error{Code::kInvalid,
                         fmt::format("--set: expected KEY=VALUE, got '{}'", setting)};
        }
        TENON_CHECK(config::set_field(config, std::string_view(setting).substr(0, equals),
                                      std::string_view(setting).substr(equals + 1), "--set"));
    }
    TENON_CHECK(set_given(config, "backend", "--backend", engine.backend));
    TENON_CHECK(set_given(config, "threads", "--threads", engine.threads));
    TENON_CHECK(set_given(config, "context_length", "--ctx", engine.context));
    TENON_CHECK(set_given(config, "compute", "--compute", engine.compute));
    TENON_CHECK(set_given(config, "fallback", "--fallback", engine.fallback));
    config.plugin_dirs.insert(config.plugin_dirs.begin(), engine.plugin_dirs.begin(),
                              engine.plugin_dirs.end());
    return {};
}

}  // namespace

std::optional<int> resolve(std::string_view verb, EngineArguments& engine) {
    if (const Status status = read_config(engine.config_file, engine.config); !status.ok()) {
        return report(verb, status.error());
    }
    if (const Status status = read_flags(engine, engine.config); !status.ok()) {
        report(verb, status.error());
        return kExitUsage;
    }
    if (engine.model.empty()) return std::nullopt;
    if (verb == "run") {
        const Status status = fetch_if_missing(verb, engine.model);
        if (!status.ok()) return report(verb, status.error());
    }
    Result<std::string> path = find_model_file(engine.model);
    if (!path.ok()) return report(verb, path.error());
    engine.model = std::move(*path);
    return std::nullopt;
}

Result<OpenEngine> open_engine(const EngineArguments& engine, engine::RunnerOptions options) {
    const auto start = std::chrono::steady_clock::now();
    const config::EngineConfig& config = engine.config;
    const uint64_t at_start = resident_bytes();
    TENON_TRY(engine::LoadedModel model, engine::LoadedModel::open(engine.model, config));
    const uint64_t with_model = resident_bytes();
    TENON_TRY(engine::OpenedDevice device, engine::open_device(config));
    TENON_TRY(options, engine::configure(config, std::move(options)));
    if (options.context_length == 0) {
        const uint32_t trained = model.model->config().context_length;
        options.context_length = trained == 0 ? kContextTokens : std::min(trained, kContextTokens);
    }
    options.step_tokens_max = std::min(options.step_tokens_max, options.context_length);
    Progress progress("loading");
    options.on_load = [&](uint64_t done, uint64_t total) { progress.show(done, total); };
    TENON_TRY(std::unique_ptr<engine::ModelRunner> runner,
              engine::ModelRunner::create(std::move(device.device), *model.model, model.source,
                                          std::move(options)));
    if (config.fallback == "warn") {
        for (const std::string& line : runner->placement())
            fmt::print(stderr, "tenon: {}\n", line);
    }
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    return OpenEngine{std::move(model), std::move(runner),     device.backend, device.info,
                      at_start,         with_model - at_start, took.count()};
}

std::string memory_json(const OpenEngine& engine) {
    const engine::RunnerMemory& memory = engine.runner->memory();
    const uint64_t total = engine.process_bytes + engine.model_bytes + memory.weights +
                           memory.kv_pool + memory.scratch + memory.buffers;
    JsonWriter json;
    json.begin_object()
        .field("process", engine.process_bytes)
        .field("model_metadata", engine.model_bytes)
        .field("weights", memory.weights)
        .field("kv_pool", memory.kv_pool)
        .field("scratch", memory.scratch)
        .field("buffers", memory.buffers)
        .field("total", total)
        .end_object();
    return json.text();
}

uint64_t resident_bytes() {
    // Second number of statm: resident pages (proc(5)).
    std::ifstream statm("/proc/self/statm");
    uint64_t size = 0, resident = 0;
    statm >> size >> resident;
    return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void watch_interrupts(uint32_t* cancel) {
    g_cancel = cancel;
    struct sigaction action {};
    action.sa_handler = cancel != nullptr ? on_interrupt : SIG_DFL;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

int report(std::string_view verb, const Error& error) {
    fmt::print(stderr, "tenon {}: {}\n", verb,
               error.code == Code::kCancelled ? "interrupted" : error.message);
    return error.code == Code::kConfig ? kExitConfig : kExitFailure;
}

Result<std::string> read_text(const std::string& path) {
    const bool is_stdin = path == "-";
    const std::string name = is_stdin ? "standard input" : path;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened(
        is_stdin ? nullptr : std::fopen(path.c_str(), "rbe"),
        [](std::FILE* f) { return f != nullptr ? std::fclose(f) : 0; });
    std::FILE* file = is_stdin ? stdin : opened.get();
    if (file == nullptr) {
        return Error{Code::kInvalid, fmt::format("cannot open {}: {}", path, std::strerror(errno))};
    }
    std::string text;
    char piece[65536];
    while (const size_t n = std::fread(piece, 1, sizeof piece, file)) {
        text.append(piece, n);
        if (text.size() > kTextBytesMax) {
            return Error{Code::kInvalid,
                         fmt::format("{} has more than {} bytes of text", name, kTextBytesMax)};
        }
    }
    if (std::ferror(file) != 0) {
        return Error{Code::kInvalid, fmt::format("cannot read {}: {}", name, std::strerror(errno))};
    }
    return text;
}

}  // namespace tenon::cli
