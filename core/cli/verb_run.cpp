// tenon run MODEL [PROMPT]: one answer, streamed; on a terminal without a prompt a conversation.
#include "core/base/json_writer.h"
#include "core/cli/answer_options.h"
#include "core/cli/repl.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/engine/chat_encoder.h"
#include "core/engine/generator.h"

#include <fmt/format.h>

#include <cstdio>
#include <random>

#include <sys/stat.h>
#include <unistd.h>

namespace tenon::cli {

namespace {

struct RunArguments {
    EngineArguments engine;
    std::string prompt, system;
    bool raw = false, json = false;
    AnswerOptions options;
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

bool is_terminal(int stream) { return isatty(stream) == 1; }

// Whether somebody redirected something into the program, as opposed to a terminal or /dev/null.
bool has_piped_input() {
    struct stat status {};
    return fstat(STDIN_FILENO, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode));
}

// The prompt, standard input behind it; the exit code when there is none.
std::optional<int> read_prompt(RunArguments& run, bool is_given) {
    if (is_given && !has_piped_input()) return std::nullopt;
    if (!is_given && is_terminal(STDIN_FILENO)) {
        fmt::print(stderr,
                   "tenon run: a prompt is missing: give it as the second argument or on "
                   "standard input\nTry 'tenon run --help'.\n");
        return kExitUsage;
    }
    const Result<std::string> text = read_text("-");
    if (!text.ok()) return report("run", text.error());
    if (is_given && !text->empty()) run.prompt += "\n\n";
    run.prompt += *text;
    return std::nullopt;
}

int run_conversation(const RunArguments& run) {
    Result<LocalEngine> engine = LocalEngine::open(run.engine.model, run.engine.config);
    if (!engine.ok()) return report("run", engine.error());
    if (!engine->model().chat_template) {
        return report("run", {Code::kUnsupported,
                              fmt::format("{} has no chat template, which a conversation needs; "
                                          "--raw with a prompt continues a text",
                                          run.engine.model)});
    }
    return converse(*engine, run.options, run.system);
}

int run(int argc, char** argv) {
    RunArguments run;
    Arguments arguments("run",
                        "Answers one prompt: text goes to standard output as it is made. Without "
                        "one on a terminal,\na conversation; /help there lists its commands.");
    declare(arguments, run.engine);
    arguments.positional("PROMPT", run.prompt, "text; standard input, if piped, comes behind it",
                         false);
    arguments.option("-s,--system", run.system, "system message");
    arguments.flag("--raw", run.raw, "no chat template: the prompt as it is");
    declare(arguments, run.options);
    arguments.flag("--json", run.json, "one JSON object instead of text");
    arguments.example("tenon run smollm2.gguf");
    arguments.example("tenon run smollm2.gguf \"Why is the sky blue?\"");
    arguments.example("tenon run smollm2.gguf \"In one sentence:\" < article.txt");
    arguments.example("tenon run model.gguf --raw \"Once upon a time\" -n 64 --temp 0");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (const Status status = sampling::validate(run.options.sampling); !status.ok()) {
        fmt::print(stderr, "tenon run: {}\n", status.error().message);
        return kExitUsage;
    }
    const bool is_given = arguments.given("PROMPT");
    const bool converses = !is_given && !run.json && !run.raw && is_terminal(STDIN_FILENO) &&
                           is_terminal(STDOUT_FILENO);
    if (!converses) {
        if (const auto code = read_prompt(run, is_given)) return *code;
    }
    if (const auto code = resolve("run", run.engine)) return *code;
    if (converses) return run_conversation(run);
    sampling::SamplingParams sampling = run.options.sampling;
    if (sampling.seed == 0) sampling.seed = std::random_device{}();

    uint32_t cancel = 0;
    watch_interrupts(&cancel);
    engine::RunnerOptions options;
    options.cancel = &cancel;
    options.step_tokens_max = run.engine.config.chunked_prefill_size;
    Result<OpenEngine> engine = open_engine(run.engine, options);
    if (!engine.ok()) return report("run", engine.error());
    const Result<std::vector<int32_t>> prompt = encode_prompt(engine->model, run);
    if (!prompt.ok()) return report("run", prompt.error());

    engine::GenerateRequest request{*prompt, run.options.max_tokens, sampling, run.options.stop};
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
const Verb kVerb_run = {"run", "answer a prompt, or converse", true, run};

}  // namespace tenon::cli
