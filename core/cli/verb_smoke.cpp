// tenon smoke SUITE: does a model answer as it should, on every backend?
#include "core/cli/conversation.h"
#include "core/cli/local_engine.h"
#include "core/cli/session.h"
#include "core/cli/smoke_report.h"
#include "core/cli/verb.h"
#include "core/config/environment.h"
#include "core/engine/chat_encoder.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <random>

#include <unistd.h>

namespace tenon::cli {

namespace {

Result<std::vector<int32_t>> encode(const engine::LoadedModel& model, const SmokeCase& one) {
    if (one.is_raw) {
        return model.tokenizer.encode(one.prompt, {.add_special = true, .parse_special = true});
    }
    engine::ChatInput chat;
    chat.messages = one.messages;
    TENON_TRY(engine::EncodedChat encoded, engine::encode_chat(model, chat));
    return std::move(encoded.ids);
}

class SmokeRun {
public:
    SmokeRun(const SmokeSuite& suite, const std::string& path, config::EngineConfig config,
             const uint32_t& cancel)
        : suite_(suite), path_(path), config_(std::move(config)), cancel_(cancel) {
        report_.suite = suite.name;
        report_.model = path;
    }

    void run_on(const std::string& backend) {
        config_.backend = backend;
        Result<LocalEngine> engine = LocalEngine::open(path_, config_);
        for (const SmokeCase& one : suite_.cases) {
            if (__atomic_load_n(&cancel_, __ATOMIC_RELAXED) != 0) return;
            SmokeResult result;
            result.name = one.name;
            result.backend = engine.ok() ? engine->info().backend : backend;
            const Status answered =
                engine.ok() ? ask(*engine, one, result) : Status(engine.error());
            if (!answered.ok()) {
                result.verdict = Verdict::kError;
                result.note = answered.error().message;
            }
            report_.results.push_back(std::move(result));
        }
    }

    const SmokeReport& report() const { return report_; }

private:
    Status ask(LocalEngine& engine, const SmokeCase& one, SmokeResult& result) {
        engine::GenerationRequest request;
        TENON_TRY(request.prompt, encode(engine.model(), one));
        request.max_tokens = one.options.max_tokens;
        request.sampling = one.options.sampling;
        if (request.sampling.seed == 0) request.sampling.seed = 1;
        request.stop = one.options.stop;
        const bool is_greedy = request.sampling.temperature == 0;
        if (is_greedy) request.logprobs = 2;
        const auto start = std::chrono::steady_clock::now();
        TENON_TRY(const LocalAnswer answer, engine.answer(std::move(request), {}, [&] {
            return __atomic_load_n(&cancel_, __ATOMIC_RELAXED) != 0;
        }));
        result.seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        judge(one, suite_.near_tie, answer.text, answer.tokens, answer.finish.reason, result);
        if (!is_greedy || result.verdict != Verdict::kPassed) return {};
        // Every backend must say the same as the first one.
        GreedyTokens greedy = greedy_tokens(answer.tokens);
        const auto first = first_.find(one.name);
        if (first == first_.end()) {
            first_.emplace(one.name, std::make_pair(result.backend, std::move(greedy)));
        } else if (!agree(greedy, first->second.second, suite_.near_tie, result.note)) {
            result.verdict = Verdict::kFailed;
            result.note = fmt::format("not as on {}: {}", first->second.first, result.note);
        }
        return {};
    }

    const SmokeSuite& suite_;
    const std::string& path_;
    config::EngineConfig config_;
    const uint32_t& cancel_;
    SmokeReport report_;
    std::map<std::string, std::pair<std::string, GreedyTokens>> first_;  // by case
};

// The suite of a file; the exit code when there is none.
std::optional<int> read_suite(const std::string& file, SmokeSuite& suite) {
    const Result<std::string> text = read_text(file);
    if (!text.ok()) return report("smoke", {Code::kConfig, text.error().message});
    std::string name = file.substr(file.rfind('/') + 1);
    name = name.substr(0, name.rfind('.'));
    const std::vector<config::Mistake> mistakes = parse_suite(*text, name, suite);
    for (const config::Mistake& mistake : mistakes)
        fmt::print(stderr, "{}\n", mistake.to_text(file));
    if (mistakes.empty()) return std::nullopt;
    fmt::print(stderr, "tenon smoke: {} mistake{} in {}\n", mistakes.size(),
               mistakes.size() == 1 ? "" : "s", file);
    return kExitConfig;
}

int run(int argc, char** argv) {
    EngineArguments engine;
    std::string file, junit;
    std::vector<std::string> backends;
    bool json = false;
    Arguments arguments("smoke",
                        "Asks a model the prompts of a suite and judges its answers, backend by "
                        "backend. Greedy\ntokens must be equal up to the first near-tie. Exit code "
                        "1 when a case did not pass.");
    arguments.positional("SUITE.yaml", file, "the suite; see configs/examples/smoke.yaml");
    arguments.option("-m,--model", engine.model,
                     "path or name of the model, instead of the suite's", "MODEL");
    arguments.option("--backend", backends,
                     "run on this one; may be repeated [the suite's, or auto]", "NAME");
    declare_config(arguments, engine, false);
    arguments
        .option("-c,--ctx", engine.context, "tokens that prompt and answer may have [2048]", "N")
        .sets("context_length");
    arguments.option("--compute", engine.compute, "fast or precise [fast]", "MODE").sets("compute");
    arguments.option("--junit", junit, "also write the results as JUnit XML", "FILE");
    arguments.flag("--json", json, "one object: suite, model, ok, passed, failed, errors, results");
    arguments.example("tenon smoke configs/examples/smoke.yaml --backend cpu --junit smoke.xml");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    SmokeSuite suite;
    if (const auto code = read_suite(file, suite)) return *code;
    if (engine.model.empty()) engine.model = suite.model;
    if (engine.model.empty()) {
        fmt::print(stderr, "tenon smoke: the suite names no model; give one with --model\n");
        return kExitUsage;
    }
    if (const auto code = resolve("smoke", engine)) return *code;
    if (backends.empty()) backends = suite.backends;
    if (backends.empty()) backends.push_back(engine.config.backend);

    uint32_t cancel = 0;
    watch_interrupts(&cancel);
    SmokeRun smoke(suite, engine.model, engine.config, cancel);
    for (const std::string& backend : backends)
        smoke.run_on(backend);
    watch_interrupts(nullptr);
    const SmokeReport& result = smoke.report();
    if (!junit.empty()) {
        const Status written = write_file(junit, result.to_junit());
        if (!written.ok()) return report("smoke", written.error());
    }
    if (json) {
        fmt::print("{}\n", result.to_json());
    } else {
        const bool has_color = isatty(STDOUT_FILENO) == 1 && config::wants_color();
        fmt::print("{}", result.to_text(has_color));
    }
    if (cancel != 0) return report("smoke", {Code::kCancelled, ""});
    return result.is_ok() ? kExitOk : kExitFailure;
}

}  // namespace

extern const Verb kVerb_smoke;
const Verb kVerb_smoke = {"smoke", "does a model answer as it should", true, run};

}  // namespace tenon::cli
