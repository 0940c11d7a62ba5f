// tenon bench MODEL: tokens per second of prefill and decode, as llama-bench defines pp and tg.
#include "core/base/json_writer.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <random>

namespace tenon::cli {

namespace {

struct Row {
    std::string test;
    uint32_t batch = 1;
    uint32_t tokens = 0;
    std::vector<double> rates;  // tokens per second over the whole batch, one per repetition

    double median() const {
        std::vector<double> sorted = rates;
        std::sort(sorted.begin(), sorted.end());
        const size_t n = sorted.size();
        return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    }
};

// Runs `prompt` tokens of prefill, or `steps` single-token steps, on `batch` empty sequences;
// seconds.
Result<double> time_once(engine::ModelRunner& runner, uint32_t vocab, uint32_t batch,
                         uint32_t prompt, uint32_t steps) {
    std::mt19937 random(prompt * 31 + steps);
    std::uniform_int_distribution<int32_t> token(0, static_cast<int32_t>(vocab) - 1);
    std::deque<engine::Sequence> sequences;
    for (uint32_t i = 0; i < batch; ++i) {
        TENON_TRY(engine::Sequence sequence, runner.open());
        sequences.push_back(std::move(sequence));
    }
    std::vector<int32_t> ids(prompt);
    for (int32_t& id : ids)
        id = token(random);
    const auto start = std::chrono::steady_clock::now();
    for (engine::Sequence& sequence : sequences) {
        if (prompt > 0) TENON_CHECK(runner.prefill(sequence, ids));
    }
    std::vector<int32_t> next(batch);
    std::vector<engine::StepItem> items(batch);
    for (uint32_t s = 0; s < steps; ++s) {
        for (uint32_t i = 0; i < batch; ++i) {
            next[i] = token(random);
            items[i] = {&sequences[i], {&next[i], 1}, 1, {}};
        }
        TENON_CHECK(runner.step(items));
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int run(int argc, char** argv) {
    EngineArguments engine;
    uint32_t prompt = 512, steps = 128, batch = 1, repetitions = 5;
    bool json = false;
    Arguments arguments("bench",
                        "Measures prefill (pp) and decode (tg) from an empty context: the median "
                        "of runs after a warm-up.");
    declare(arguments, engine, "positions of a sequence [what the tests need]");
    arguments.option("-p,--prompt", prompt, "tokens of prefill; 0: none");
    arguments.option("-n,--decode", steps, "single-token steps; 0: none");
    arguments.option("-b,--batch", batch, "sequences at once");
    arguments.option("-r,--repetitions", repetitions, "measured runs of each test");
    arguments.flag("--json", json, "one object: results, device");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (batch < 1 || batch > 4096 || repetitions < 1 || (prompt == 0 && steps == 0) ||
        std::max(prompt, steps) > (1u << 20)) {
        fmt::print(
            stderr,
            "tenon bench: expected a batch of 1 to 4096, at least 1 repetition, and at least one "
            "test of at most {} tokens\n",
            1u << 20);
        return kExitUsage;
    }
    engine.config.context_length = std::max(prompt, steps);
    if (const auto code = resolve("bench", engine)) return *code;

    uint32_t cancel = 0;
    watch_interrupts(&cancel);
    engine::RunnerOptions options;
    options.cancel = &cancel;
    options.sequences_max = batch;
    options.step_tokens_max =
        std::max(batch, std::min(std::max(prompt, 1u), engine.config.chunked_prefill_size));
    options.logit_rows_max = batch;
    Result<OpenEngine> open = open_engine(engine, options);
    if (!open.ok()) return report("bench", open.error());
    const uint32_t vocab = open->model.model->config().vocab_size;

    std::vector<Row> rows;
    if (prompt > 0) rows.push_back({fmt::format("pp{}", prompt), batch, prompt * batch, {}});
    if (steps > 0) rows.push_back({fmt::format("tg{}", steps), batch, steps * batch, {}});
    for (Row& row : rows) {
        const bool is_prefill = row.test[0] == 'p';
        for (uint32_t r = 0; r <= repetitions; ++r) {  // the first one warms up
            const Result<double> seconds = time_once(
                *open->runner, vocab, batch, is_prefill ? prompt : 0, is_prefill ? 0 : steps);
            if (!seconds.ok()) return report("bench", seconds.error());
            if (r > 0) row.rates.push_back(row.tokens / *seconds);
        }
    }
    if (json) {
        JsonWriter out;
        out.begin_object().field("model", engine.model).field("backend", open->backend);
        out.field("device", open->device.name).field("detail", open->device.detail);
        out.field("threads", open->device.threads).field("compute", engine.config.compute);
        out.key("results").begin_array();
        for (const Row& row : rows) {
            const auto [low, high] = std::minmax_element(row.rates.begin(), row.rates.end());
            out.begin_object().field("test", row.test).field("batch", row.batch);
            out.field("tokens_per_second", row.median()).field("min", *low).field("max", *high);
            out.array("all", row.rates).end_object();
        }
        out.end_array().end_object();
        fmt::print("{}\n", out.text());
        return kExitOk;
    }
    fmt::print("{} on {} ({}), {}\n", engine.model, open->device.name, open->device.detail,
               engine.config.compute);
    for (const Row& row : rows) {
        const auto [low, high] = std::minmax_element(row.rates.begin(), row.rates.end());
        fmt::print("  {:8} batch {:<3} {:10.2f} tokens/s   ({:.2f} to {:.2f})\n", row.test,
                   row.batch, row.median(), *low, *high);
    }
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_bench;
const Verb kVerb_bench = {"bench", "tokens per second of prefill and decode", true, run};

}  // namespace tenon::cli
