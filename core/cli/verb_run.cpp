// tenon run MODEL [PROMPT]: one answer, streamed.
#include "core/base/json_writer.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/engine/chat_encoder.h"
#include "core/engine/generator.h"

#include <fmt/format.h>

#include <cstdio>
#include <random>

#include <unistd.h>

namespace tenon::cli {

namespace {

struct RunArguments {
    EngineArguments engine;
    std::string prompt, system;
    bool raw = false, json = false;
    uint32_t max_tokens = 0;
    uint64_t seed = 0;
    sampling::SamplingParams sampling{.temperature = 0.7f, .top_k = 40, .top_p = 0.95f};
    std::vector<std::string> stop;
};

// Ids of the prompt: through the chat template, or as they are.
Result<std::vector<int32_t>> encode_prompt(const engine::LoadedModel& model,
                                           const RunArguments& run) {
    if (run.raw || !model.chat_template) {
        return model.tokenizer.encode(run.prompt, {.add_special = true, .parse_special = true});
    }
    engine::ChatInput chat;
    if (!run.system.empty()) chat.messages.push_back({"system", run.system});
    chat.messages.push_back({"user", run.prompt});
    TENON_TRY(engine::EncodedChat encoded, engine::encode_chat(model, chat));
    return std::move(encoded.ids);
}

std::string to_json(const OpenEngine& engine, const std::vector<int32_t>& prompt,
                    const engine::Generated& answer) {
    const double decoded =
        answer.tokens.size() > 1 ? static_cast<double>(answer.tokens.size() - 1) : 0;
    JsonWriter json;
    json.begin_object().array("prompt_ids", prompt).array("tokens", answer.tokens);
    json.field("text", answer.text).field("finish_reason", engine::name_of(answer.finish));
    json.key("timings").begin_object();
    json.field("load_ms", engine.load_ms).field("prompt_ms", answer.prompt_ms);
    json.field("decode_ms", answer.decode_ms);
    json.field("prompt_tokens_per_second",
               answer.prompt_ms > 0 ? 1000.0 * static_cast<double>(prompt.size()) / answer.prompt_ms
                                    : 0.0);
    json.field("decode_tokens_per_second",
               answer.decode_ms > 0 ? 1000.0 * decoded / answer.decode_ms : 0.0);
    json.end_object();
    std::string text = json.text();
    text += fmt::format(",\"memory\":{}}}", memory_json(engine));
    return text;
}

int run(int argc, char** argv) {
    RunArguments run;
    Arguments arguments("run", "Answers one prompt. Text goes to standard output as it is made.");
    declare(arguments, run.engine);
    arguments.positional("PROMPT", run.prompt, "text; without it, standard input", false);
    arguments.option("-s,--system", run.system, "system message");
    arguments.flag("--raw", run.raw, "no chat template: the prompt as it is");
    arguments.option("-n,--max-tokens", run.max_tokens,
                     "longest answer; 0: until the context is full");
    arguments.option("--temp", run.sampling.temperature, "temperature; 0 is greedy");
    uint32_t top_k = static_cast<uint32_t>(run.sampling.top_k);
    arguments.option("--top-k", top_k, "keep the K likeliest tokens; 0: all");
    arguments.option("--top-p", run.sampling.top_p, "keep this share of the probability");
    arguments.option("--min-p", run.sampling.min_p,
                     "keep tokens above this share of the likeliest");
    arguments.option("--seed", run.seed, "of the sampler; 0: a new one each time");
    arguments.option("--stop", run.stop, "end the answer before this text; may be repeated");
    arguments.flag("--json", run.json, "one JSON object instead of text");
    arguments.example("tenon run smollm2.gguf \"Why is the sky blue?\"");
    arguments.example("tenon run model.gguf --raw \"Once upon a time\" -n 64 --temp 0");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    run.sampling.top_k = static_cast<int32_t>(std::min<uint32_t>(top_k, INT32_MAX));
    if (!arguments.given("PROMPT")) {
        if (isatty(STDIN_FILENO) == 1) {
            fmt::print(stderr,
                       "tenon run: a prompt is missing: give it as the second argument or on "
                       "standard input\nTry 'tenon run --help'.\n");
            return kExitUsage;
        }
        Result<std::string> text = read_text("-");
        if (!text.ok()) return report("run", text.error());
        run.prompt = std::move(text).value();
    }
    if (const Status status = sampling::validate(run.sampling); !status.ok()) {
        fmt::print(stderr, "tenon run: {}\n", status.error().message);
        return kExitUsage;
    }
    if (const auto code = resolve("run", run.engine)) return *code;
    run.sampling.seed = run.seed != 0 ? run.seed : std::random_device{}();

    uint32_t cancel = 0;
    watch_interrupts(&cancel);
    engine::RunnerOptions options;
    options.cancel = &cancel;
    options.step_tokens_max = run.engine.config.chunked_prefill_size;
    Result<OpenEngine> engine = open_engine(run.engine, options);
    if (!engine.ok()) return report("run", engine.error());
    const Result<std::vector<int32_t>> prompt = encode_prompt(engine->model, run);
    if (!prompt.ok()) return report("run", prompt.error());

    engine::GenerateRequest request{*prompt, run.max_tokens, run.sampling, run.stop};
    bool broken_pipe = false;
    const Result<engine::Generated> answer = engine::generate(
        *engine->runner, engine->model.tokenizer, request, [&](std::string_view text) {
            if (run.json || broken_pipe) return;
            std::fwrite(text.data(), 1, text.size(), stdout);
            if (std::fflush(stdout) != 0) {
                broken_pipe = true;
                __atomic_store_n(&cancel, 1u, __ATOMIC_RELAXED);
            }
        });
    watch_interrupts(nullptr);
    if (!answer.ok()) return report("run", answer.error());
    if (run.json) {
        fmt::print("{}\n", to_json(*engine, *prompt, *answer));
    } else if (!broken_pipe) {
        fmt::print("\n");
    }
    if (std::fflush(stdout) != 0 || broken_pipe) {
        return report("run", {Code::kInvalid, "standard output cannot be written"});
    }
    return answer->finish == engine::FinishReason::kCancelled ? kExitFailure : kExitOk;
}

}  // namespace

extern const Verb kVerb_run;
const Verb kVerb_run = {"run", "answer one prompt", true, run};

}  // namespace tenon::cli
