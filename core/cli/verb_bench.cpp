// tenon bench MODEL: tokens per second of prefill and decode, as llama-bench defines pp and tg.
#include "core/base/json_writer.h"
#include "core/cli/bench_serve.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <deque>
#include <random>
#include <span>
#include <string_view>

namespace tenon::cli {

namespace {

struct Row {
    std::string test;
    uint32_t batch = 1;
    std::vector<double> rates;  // tokens per second over the whole batch, one per repetition

    double median() const {
        std::vector<double> sorted = rates;
        std::sort(sorted.begin(), sorted.end());
        const size_t n = sorted.size();
        return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    }
};

// What is timed on `batch` empty sequences: prefill one by one (pp), single-token steps of all
// (tg), or what a server does with as many requests that come at once (mix).
enum class Kind { kPrefill, kDecode, kMix };

struct Test {
    Kind kind;
    uint32_t batch, prompt, steps;

    std::string name() const {
        return kind == Kind::kPrefill  ? fmt::format("pp{}", prompt)
               : kind == Kind::kDecode ? fmt::format("tg{}", steps)
                                       : fmt::format("mix{}+{}", prompt, steps);
    }
    // Whose rate is given: of a mix, what the requests' answers have.
    uint32_t tokens() const { return batch * (kind == Kind::kPrefill ? prompt : steps); }
};

// One run with tokens drawn at random.
class Timing {
public:
    Timing(engine::ModelRunner& runner, uint32_t vocab, const Test& test)
        : runner_(runner),
          test_(test),
          random_(test.prompt * 31 + test.steps),
          token_(0, static_cast<int32_t>(vocab) - 1) {}

    // Seconds.
    Result<double> run() {
        for (uint32_t i = 0; i < test_.batch; ++i) {
            TENON_TRY(engine::Sequence sequence, runner_.open());
            sequences_.push_back(std::move(sequence));
        }
        std::vector<int32_t> ids(test_.prompt);
        for (int32_t& id : ids)
            id = token_(random_);
        const auto start = std::chrono::steady_clock::now();
        switch (test_.kind) {
            case Kind::kPrefill:
                for (engine::Sequence& sequence : sequences_)
                    TENON_CHECK(runner_.prefill(sequence, ids));
                break;
            case Kind::kDecode: TENON_CHECK(decode(test_.steps)); break;
            case Kind::kMix:
                TENON_CHECK(prefill_together(ids));
                TENON_CHECK(decode(test_.steps - 1));  // a prompt's last row gives the first token
                break;
        }
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }

private:
    Status decode(uint32_t steps) {
        std::vector<int32_t> next(test_.batch);
        std::vector<engine::StepItem> items(test_.batch);
        for (uint32_t s = 0; s < steps; ++s) {
            for (uint32_t i = 0; i < test_.batch; ++i) {
                next[i] = token_(random_);
                items[i].sequence = &sequences_[i];
                items[i].tokens = {&next[i], 1};
            }
            TENON_CHECK(runner_.step(items));
        }
        return {};
    }

    // Every prompt, as many of them in a step as it has room for.
    Status prefill_together(std::span<const int32_t> ids) {
        const size_t room = runner_.options().step_tokens_max;
        size_t sequence = 0, at = 0;
        while (sequence < sequences_.size()) {
            std::vector<engine::StepItem> items;
            for (size_t left = room; left > 0 && sequence < sequences_.size();) {
                const size_t count = std::min(left, ids.size() - at);
                engine::StepItem& item = items.emplace_back();
                item.sequence = &sequences_[sequence];
                item.tokens = ids.subspan(at, count);
                left -= count;
                at += count;
                if (at < ids.size()) break;
                at = 0;
                ++sequence;
            }
            TENON_CHECK(runner_.step(items));
        }
        return {};
    }

    engine::ModelRunner& runner_;
    const Test test_;
    std::mt19937 random_;
    std::uniform_int_distribution<int32_t> token_;
    std::deque<engine::Sequence> sequences_;
};

// "8,32"; empty when a part is no number from 1 to 4096.
std::vector<uint32_t> read_batches(std::string_view text) {
    std::vector<uint32_t> batches;
    while (true) {
        const size_t comma = std::min(text.find(','), text.size());
        uint32_t batch = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + comma, batch);
        if (error != std::errc{} || end != text.data() + comma || batch < 1 || batch > 4096) {
            return {};
        }
        batches.push_back(batch);
        if (comma == text.size()) return batches;
        text.remove_prefix(comma + 1);
    }
}

int run(int argc, char** argv) {
    if (argc > 1 && std::string_view(argv[1]) == "serve") {
        return run_bench_serve(argc - 1, argv + 1);
    }
    EngineArguments engine;
    uint32_t prompt = 512, steps = 128, repetitions = 5;
    std::string batch_list = "1";
    bool mix = false, json = false;
    Arguments arguments("bench",
                        "Measures prefill (pp) and decode (tg) from an empty context: the median "
                        "of runs after a warm-up.");
    arguments.sub_verb("serve", "load on a server");
    declare(arguments, engine, "positions of a sequence [what the tests need]");
    arguments.option("-p,--prompt", prompt, "tokens of prefill; 0: none");
    arguments.option("-n,--decode", steps, "single-token steps; 0: none");
    arguments.option("-b,--batch", batch_list, "sequences at once, such as 8,32", "LIST");
    arguments.flag("--mix", mix, "also all prompts chunked, then all answers: output tokens/s");
    arguments.option("-r,--repetitions", repetitions, "measured runs of each test");
    arguments.flag("--json", json, "one object: results, device");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    const std::vector<uint32_t> batches = read_batches(batch_list);
    if (batches.empty() || repetitions < 1 || (prompt == 0 && steps == 0) ||
        (mix && (prompt == 0 || steps == 0)) || std::max(prompt, steps) > (1u << 20)) {
        fmt::print(stderr,
                   "tenon bench: expected batches of 1 to 4096, at least 1 repetition, at least "
                   "one test of "
                   "at most {} tokens, and for a mix a prompt and an answer\n",
                   1u << 20);
        return kExitUsage;
    }
    engine.config.context_length = mix ? prompt + steps : std::max(prompt, steps);
    const uint32_t batch = *std::max_element(batches.begin(), batches.end());
    if (const auto code = resolve("bench", engine)) return *code;

    uint32_t cancel = 0;
    watch_interrupts(&cancel);
    engine::RunnerOptions options;
    options.cancel = &cancel;
    options.sequences_max = batch;
    const uint64_t at_once = uint64_t{std::max(prompt, 1u)} * (mix ? batch : 1);
    options.step_tokens_max = std::max(batch, static_cast<uint32_t>(std::min<uint64_t>(
                                                  at_once, engine.config.chunked_prefill_size)));
    options.logit_rows_max = batch;
    Result<OpenEngine> open = open_engine(engine, options);
    if (!open.ok()) return report("bench", open.error());
    const uint32_t vocab = open->model.model->config().vocab_size;

    std::vector<Row> rows;
    for (const uint32_t size : batches) {
        std::vector<Test> tests;
        if (prompt > 0) tests.push_back({Kind::kPrefill, size, prompt, 0});
        if (steps > 0) tests.push_back({Kind::kDecode, size, 0, steps});
        if (mix) tests.push_back({Kind::kMix, size, prompt, steps});
        for (const Test& test : tests) {
            Row& row = rows.emplace_back();
            row.test = test.name();
            row.batch = size;
            for (uint32_t r = 0; r <= repetitions; ++r) {  // the first one warms up
                const Result<double> seconds = Timing(*open->runner, vocab, test).run();
                if (!seconds.ok()) return report("bench", seconds.error());
                if (r > 0) row.rates.push_back(test.tokens() / *seconds);
            }
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
        fmt::print("  {:10} batch {:<3} {:10.2f} tokens/s   ({:.2f} to {:.2f})\n", row.test,
                   row.batch, row.median(), *low, *high);
    }
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_bench;
const Verb kVerb_bench = {"bench", "tokens per second of prefill and decode", true, run};

}  // namespace tenon::cli
