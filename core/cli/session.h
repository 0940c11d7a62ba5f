// What verbs that run a model share: its options, opening it, Ctrl+C, and how errors reach the
// user.
#pragma once

#include "core/cli/arguments.h"
#include "core/config/fields.h"
#include "core/engine/loaded_model.h"
#include "core/engine/model_runner.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

// Positions of a sequence where neither the options nor, with fewer, the model say otherwise.
inline constexpr uint32_t kContextTokens = 2048;

// Options of every verb that runs a model. Precedence: flags, environment, --config, defaults.
struct EngineArguments {
    std::string model;
    config::EngineConfig config;

    // Values as the command line gave them, before resolve().
    std::string config_file, backend, threads, context, compute, fallback;
    std::vector<std::string> plugin_dirs, settings;
};

// `context` is the help of --ctx with its default.
void declare(Arguments& arguments, EngineArguments& engine,
             const std::string& context = "tokens that prompt and answer may have [2048]");
// The same options without a model: for verbs that only need the configuration. Without `backend`
// the verb has a --backend of its own.
void declare_config(Arguments& arguments, EngineArguments& engine, bool backend = true);
// Fills engine.config and makes engine.model the path of what it names. Nothing when all is well;
// else the exit code, its text already written: usage for a flag, configuration for a file, the
// environment or a model that is not here. `run` may fetch the model (model_file.h).
std::optional<int> resolve(std::string_view verb, EngineArguments& engine);

// A model on its device.
struct OpenEngine {
    engine::LoadedModel model;
    std::unique_ptr<engine::ModelRunner> runner;
    std::string backend;         // id of the plugin
    tenon_device_info device{};  // as opened
    uint64_t process_bytes = 0;  // resident before anything was loaded
    uint64_t model_bytes = 0;    // resident growth of metadata, tokenizer and template
    double load_ms = 0;
};

// Opens model and device and loads the weights, with a bar on a terminal. Context, compute, KV type
// and determinism come from engine.config, the rest from `options`.
Result<OpenEngine> open_engine(const EngineArguments& engine, engine::RunnerOptions options);

// "memory" of --json: bytes by term; "total" is their sum.
std::string memory_json(const OpenEngine& engine);

// Resident bytes of this process.
uint64_t resident_bytes();

// Sets the word that Ctrl+C raises. From then on the first SIGINT or SIGTERM asks work to end; a
// second one ends the process. Null restores the default.
void watch_interrupts(uint32_t* cancel);

// Prints "tenon VERB: message" to standard error; returns the exit code that the error implies.
int report(std::string_view verb, const Error& error);

// Reads a whole file, or standard input for "-": at most 64 MiB.
Result<std::string> read_text(const std::string& path);

}  // namespace tenon::cli
