// tenon perplexity MODEL --file F: how well a model predicts a text.
#include "core/base/json_writer.h"
#include "core/cli/progress.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"
#include "core/engine/perplexity.h"

#include <fmt/format.h>

namespace tenon::cli {

namespace {

constexpr uint32_t kStepTokens = 128;  // bounds the logits that a step holds: 128 rows

int run(int argc, char** argv) {
    EngineArguments engine;
    std::string file;
    bool json = false;
    Arguments arguments("perplexity",
                        "Scores a text in chunks of the context: each chunk's second half.");
    engine.config.context_length = 512;
    declare(arguments, engine, "tokens of a chunk [512]");
    arguments.option("--file", file, "the text (required)", "FILE");
    arguments.flag("--json", json, "one object: perplexity, tokens, loss by chunk");
    arguments.example("tenon perplexity smollm2.gguf --file book.txt -c 512 --compute precise");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (file.empty()) {
        fmt::print(stderr, "tenon perplexity: --file is missing\nTry 'tenon perplexity --help'.\n");
        return kExitUsage;
    }
    if (const auto code = resolve("perplexity", engine)) return *code;
    const Result<std::string> text = read_text(file);
    if (!text.ok()) return report("perplexity", text.error());

    uint32_t cancel = 0;
    watch_interrupts(&cancel);
    engine::RunnerOptions options;
    options.cancel = &cancel;
    options.end = model::StepShape::End::kLogits;
    options.step_tokens_max = options.logit_rows_max =
        std::min(kStepTokens, engine.config.context_length);
    Result<OpenEngine> open = open_engine(engine, options);
    if (!open.ok()) return report("perplexity", open.error());
    const tokenizer::Tokenizer& tokenizer = open->model.tokenizer;
    const Result<std::vector<int32_t>> ids = tokenizer.encode(*text);
    if (!ids.ok()) return report("perplexity", ids.error());

    Result<engine::Perplexity> score = Error{};
    std::vector<double> chunks;  // mean loss of each, in nats
    {
        Progress progress("scoring");
        engine::Perplexity before;
        score = engine::score_perplexity(
            *open->runner, *ids, engine.config.context_length,
            tokenizer.adds_bos() ? tokenizer.bos() : std::nullopt,
            [&](const engine::Perplexity& now, uint32_t done, uint32_t total) {
                chunks.push_back((now.nll_sum - before.nll_sum) /
                                 static_cast<double>(now.tokens - before.tokens));
                before = now;
                progress.show(done, total);
            });
    }
    if (!score.ok()) return report("perplexity", score.error());
    if (json) {
        JsonWriter out;
        out.begin_object().field("perplexity", score->perplexity).field("tokens", score->tokens);
        out.field("nll_per_token", score->nll_sum / static_cast<double>(score->tokens));
        out.array("nll_per_chunk", chunks);
        out.field("compute", engine.config.compute).field("backend", open->backend).end_object();
        fmt::print("{}\n", out.text());
    } else {
        fmt::print("perplexity {:.4f} over {} tokens ({}, {})\n", score->perplexity, score->tokens,
                   engine.config.compute, open->device.detail);
    }
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_perplexity;
const Verb kVerb_perplexity = {"perplexity", "how well a model predicts a text", true, run};

}  // namespace tenon::cli
