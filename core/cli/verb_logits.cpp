// tenon logits MODEL --ids FILE: what the model makes of given ids, position by position. For tests
// and comparisons against other engines.
#include "core/base/json_writer.h"
#include "core/cli/session.h"
#include "core/cli/verb.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <fstream>

namespace tenon::cli {

namespace {

constexpr size_t kIdsMax = 1 << 24;  // longest context

// {"ids": [...]}; JSON is YAML.
Result<std::vector<int32_t>> read_ids(const std::string& path) {
    TENON_TRY(const std::string text, read_text(path));
    try {
        return YAML::Load(text)["ids"].as<std::vector<int32_t>>();
    } catch (const std::exception&) {
        return Error{Code::kInvalid,
                     fmt::format("{}: expected an object {{\"ids\": [numbers]}}", path)};
    }
}

struct TopTwo {
    int32_t first = 0, second = 0;
    double margin = 0;  // difference of their log probabilities
};

TopTwo top_two(std::span<const float> logits) {
    TopTwo top;
    float best = -INFINITY, next = -INFINITY;
    for (size_t i = 0; i < logits.size(); ++i) {
        if (logits[i] > best) {
            next = best;
            top.second = top.first;
            best = logits[i];
            top.first = static_cast<int32_t>(i);
        } else if (logits[i] > next) {
            next = logits[i];
            top.second = static_cast<int32_t>(i);
        }
    }
    top.margin = static_cast<double>(best) - next;
    return top;
}

int run(int argc, char** argv) {
    EngineArguments engine;
    std::string ids_file, full;
    uint32_t chunk = 128, top = 2;
    uint64_t shuffle = 0;
    bool json = false;
    Arguments arguments("logits", "Feeds ids and prints each position's choice and its margin.");
    declare(arguments, engine, "positions of the sequence [as many as ids]");
    arguments.option("--ids", ids_file, "JSON file {\"ids\": [...]} (required)", "FILE");
    arguments.option("--chunk", chunk, "tokens of a step");
    arguments.option("--shuffle-blocks", shuffle,
                     "hand out KV blocks in random order by this seed");
    arguments.option("--top", top, "1: choices only; 2: choices and margins");
    arguments.option("--full", full, "write all logits here, f32[ids, vocabulary]", "FILE");
    arguments.flag("--json", json, "one object: argmax, second, margin");
    if (const auto code = arguments.parse(argc, argv)) return *code;
    if (ids_file.empty() || chunk < 1 || chunk > 4096 || top < 1 || top > 2) {
        fmt::print(stderr,
                   "tenon logits: expected --ids FILE, --chunk of 1 to 4096, --top of 1 or 2\n");
        return kExitUsage;
    }
    const Result<std::vector<int32_t>> ids = read_ids(ids_file);
    if (!ids.ok()) return report("logits", ids.error());
    if (ids->size() > kIdsMax) {
        return report("logits", {Code::kInvalid, fmt::format("{}: {} ids; expected at most {}",
                                                             ids_file, ids->size(), kIdsMax)});
    }
    engine.config.context_length = static_cast<uint32_t>(std::max<size_t>(1, ids->size()));
    if (const auto code = resolve("logits", engine)) return *code;

    uint32_t cancel = 0;
    watch_interrupts(&cancel);
    engine::RunnerOptions options;
    options.cancel = &cancel;
    options.end = model::StepShape::End::kLogits;
    options.step_tokens_max = options.logit_rows_max = chunk;
    options.shuffle_blocks_seed = shuffle;
    Result<OpenEngine> open = open_engine(engine, options);
    if (!open.ok()) return report("logits", open.error());
    Result<engine::Sequence> sequence = open->runner->open();
    if (!sequence.ok()) return report("logits", sequence.error());
    std::ofstream out;
    if (!full.empty()) out.open(full, std::ios::binary | std::ios::trunc);
    std::vector<TopTwo> choices;
    for (size_t at = 0; at < ids->size(); at += chunk) {
        const size_t n = std::min<size_t>(chunk, ids->size() - at);
        const engine::StepItem item{
            &*sequence, {ids->data() + at, n}, static_cast<uint32_t>(n), {}};
        if (const Status status = open->runner->step({&item, 1}); !status.ok()) {
            return report("logits", status.error());
        }
        const std::span<const float> logits = open->runner->logits();
        const size_t vocab = logits.size() / n;
        for (size_t r = 0; r < n; ++r) {
            const std::span<const float> row = logits.subspan(r * vocab, vocab);
            if (!std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); })) {
                return report("logits",
                              {Code::kData, fmt::format("the logits at position {} are not finite; "
                                                        "does the file hold NaN weights?",
                                                        at + r)});
            }
            choices.push_back(top_two(row));
        }
        if (!full.empty()) {
            out.write(reinterpret_cast<const char*>(logits.data()),
                      static_cast<std::streamsize>(logits.size_bytes()));
        }
    }
    if (!full.empty()) {
        out.close();
        if (!out)
            return report("logits", {Code::kInvalid, fmt::format("{}: cannot be written", full)});
    }
    JsonWriter text;
    text.begin_object().key("argmax").begin_array();
    for (const TopTwo& c : choices)
        text.value(c.first);
    text.end_array();
    if (top == 2) {
        text.key("second").begin_array();
        for (const TopTwo& c : choices)
            text.value(c.second);
        text.end_array().key("margin").begin_array();
        for (const TopTwo& c : choices)
            text.value(c.margin);
        text.end_array();
    }
    text.field("detail", open->device.detail).end_object();
    if (json) {
        fmt::print("{}\n", text.text());
        return kExitOk;
    }
    for (size_t i = 0; i < choices.size(); ++i) {
        fmt::print("{:6} {:7} {:9.5f}\n", i, choices[i].first, choices[i].margin);
    }
    return kExitOk;
}

}  // namespace

extern const Verb kVerb_logits;
const Verb kVerb_logits = {"logits", "choices and margins for given ids", false, run};

}  // namespace tenon::cli
