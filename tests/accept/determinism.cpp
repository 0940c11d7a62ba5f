// determinism [--model FILE] [--runs N]: one prompt, run in every way the engine knows, gives one
// output. The last line is the figure; exit code 1 when a second output turned up.
//
// Ways: threads 1 and 2; chunks of 16, 64 and 512; alone or among 15 random neighbours; cold, or with
// its prefix cached; blocks taken away at every step, every third, or never; steps that overlap.
#include "core/engine/engine.h"
#include "core/engine/loaded_model.h"

#include <fmt/format.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <string>

namespace {

using namespace tenon;
using namespace tenon::engine;

class Waiter : public OutputSink {
public:
    void on_delta(OutputDelta&& delta) override {
        const std::lock_guard lock(mutex_);
        for (const OutputToken& token : delta.tokens)
            tokens_.push_back(token.token);
        if (!delta.finish) return;
        if (delta.finish->error) error_ = delta.finish->error->message;
        retractions_ = delta.finish->retractions;
        cached_ = delta.finish->cached_tokens;
        done_ = true;
        ended_.notify_all();
    }
    bool on_engine_lost() override { return false; }
    std::vector<int32_t> wait() {
        std::unique_lock lock(mutex_);
        ended_.wait(lock, [&] { return done_; });
        if (!error_.empty()) {
            fmt::print(stderr, "determinism: {}\n", error_);
            std::exit(1);
        }
        return tokens_;
    }
    uint32_t retractions() const { return retractions_; }
    uint32_t cached() const { return cached_; }

private:
    std::mutex mutex_;
    std::condition_variable ended_;
    std::vector<int32_t> tokens_;
    std::string error_;
    uint32_t retractions_ = 0, cached_ = 0;
    bool done_ = false;
};

struct Way {
    uint32_t threads, chunk, retract_every;
    bool overlap;
};

}  // namespace

int main(int argc, char** argv) {
    std::string model = TENON_SOURCE_DIR "/tests/golden/tiny/llama3-tied-q4_1.gguf";
    uint32_t runs = 1000;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--model") model = argv[i + 1];
        if (name == "--runs") runs = static_cast<uint32_t>(std::atoi(argv[i + 1]));
    }
    const Result<LoadedModel> loaded = LoadedModel::open(model);
    if (!loaded.ok()) {
        fmt::print(stderr, "determinism: {}\n", loaded.error().message);
        return 1;
    }
    const uint32_t vocabulary = loaded->model->config().vocab_size;
    std::mt19937_64 random(20261121);
    const auto prompt_of = [&](size_t length) {
        std::vector<int32_t> prompt(length);
        for (int32_t& id : prompt)
            id = static_cast<int32_t>(random() % vocabulary);
        return prompt;
    };
    GenerationRequest asked[2];  // greedy and drawn
    for (int i = 0; i < 2; ++i) {
        asked[i].prompt = prompt_of(90);
        asked[i].max_tokens = 24;
        asked[i].ignore_eos = true;
        asked[i].sampling.temperature = i == 0 ? 0.0f : 1.0f;
        asked[i].sampling.top_p = 0.95f;
        asked[i].sampling.seed = 7;
    }

    std::vector<Way> ways;
    for (const uint32_t threads : {1u, 2u}) {
        for (const uint32_t chunk : {16u, 64u, 512u}) {
            for (const uint32_t retract : {0u, 1u, 3u})
                ways.push_back({threads, chunk, retract, retract == 0 && chunk == 64});
        }
    }
    std::map<std::vector<int32_t>, uint32_t> outputs[2];
    uint32_t done = 0, retracted = 0, hit = 0, crowded = 0;
    const uint32_t each =
        (runs + static_cast<uint32_t>(ways.size()) - 1) / static_cast<uint32_t>(ways.size());
    for (const Way& way : ways) {
        EngineStart start;
        start.model = model;
        start.config.backend = "cpu";
        start.config.plugin_dirs = {TENON_BINARY_DIR "/lib/tenon/plugins"};
        start.config.deterministic = true;
        start.config.threads = way.threads;
        start.config.chunked_prefill_size = way.chunk;
        start.config.max_running_requests = 16;
        start.config.context_length = 256;
        start.config.overlap = way.overlap ? "on" : "off";
        start.retract_every = way.retract_every;
        Result<std::unique_ptr<EngineClient>> engine = start_engine(std::move(start));
        if (!engine.ok()) {
            fmt::print(stderr, "determinism: {}\n", engine.error().message);
            return 1;
        }
        GenerationId next = 1;
        const auto submit = [&](GenerationRequest request) {
            auto waiter = std::make_shared<Waiter>();
            request.id = next++;
            (*engine)->submit(std::move(request), waiter);
            return waiter;
        };
        for (uint32_t run = 0; run < each && done < runs; ++run, ++done) {
            if (run % 4 == 0) (*engine)->flush_cache();
            std::vector<std::shared_ptr<Waiter>> others;
            const size_t neighbours = run % 2 == 0 ? 0 : 15;
            for (size_t i = 0; i < neighbours; ++i) {
                GenerationRequest other = asked[1];
                other.prompt = prompt_of(1 + random() % 120);
                other.max_tokens = 1 + static_cast<uint32_t>(random() % 30);
                other.sampling.seed = random();
                others.push_back(submit(std::move(other)));
            }
            const int which = static_cast<int>(run / 2 % 2);
            const auto waiter = submit(asked[which]);
            ++outputs[which][waiter->wait()];
            for (const auto& other : others)
                (void)other->wait();
            retracted += waiter->retractions() > 0 ? 1 : 0;
            hit += waiter->cached() > 0 ? 1 : 0;
            crowded += neighbours > 0 ? 1 : 0;
        }
        fmt::print(stderr, "threads {} chunk {} retract every {}{}: {} runs\n", way.threads,
                   way.chunk, way.retract_every, way.overlap ? " overlap" : "", each);
    }
    fmt::print(
        "{} runs, {} unique outputs of the greedy prompt and {} of the drawn one; {} among "
        "15 neighbours, {} with a cached prefix, {} retracted\n",
        done, outputs[0].size(), outputs[1].size(), crowded, hit, retracted);
    return outputs[0].size() == 1 && outputs[1].size() == 1 && retracted > 0 && hit > 0 ? 0 : 1;
}
