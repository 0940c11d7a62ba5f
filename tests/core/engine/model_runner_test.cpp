#include "core/engine/model_runner.h"

#include "tests/core/engine/tiny.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

namespace tenon::engine {
namespace {

using Logits = std::vector<float>;

Logits copy_of(std::span<const float> logits) { return {logits.begin(), logits.end()}; }

bool bit_equal(const Logits& a, const Logits& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// All logits of `ids` in a fresh sequence, in steps of `chunk`.
Result<Logits> all_logits(ModelRunner& runner, std::span<const int32_t> ids, size_t chunk) {
    TENON_TRY(Sequence sequence, runner.open());
    Logits all;
    for (size_t at = 0; at < ids.size(); at += chunk) {
        const auto n = std::min(chunk, ids.size() - at);
        const StepItem item{&sequence, ids.subspan(at, n), static_cast<uint32_t>(n), {}};
        TENON_CHECK(runner.step({&item, 1}));
        all.insert(all.end(), runner.logits().begin(), runner.logits().end());
    }
    return all;
}

struct Kind {
    const char* file;
    tenon_compute compute;
};

class ModelRunnerBits : public testing::TestWithParam<Kind> {
protected:
    void SetUp() override { SKIP_WITHOUT("cpu"); }
    RunnerOptions options() const {
        RunnerOptions options = tiny::logits_options();
        options.compute = GetParam().compute;
        options.kv_dtype = GetParam().compute == TENON_COMPUTE_FAST ? TENON_F16 : TENON_F32;
        return options;
    }
    Result<tiny::Opened> open(RunnerOptions options, uint32_t threads = 0) const {
        config::EngineConfig config = tiny::config();
        config.threads = threads;
        return tiny::open(tiny::path(GetParam().file), std::move(options), config);
    }
};

TEST_P(ModelRunnerBits, ChunkedEqualsWhole) {
    Result<tiny::Opened> opened = open(options());
    ASSERT_OK(opened);
    const std::vector<int32_t> ids = tiny::ids(70);
    const Result<Logits> whole = all_logits(*opened->runner, ids, ids.size());
    ASSERT_OK(whole);
    ASSERT_EQ(whole->size(), ids.size() * tiny::kVocabulary);
    for (const size_t chunk : {size_t{1}, size_t{3}, size_t{16}, size_t{33}}) {
        const Result<Logits> chunked = all_logits(*opened->runner, ids, chunk);
        ASSERT_OK(chunked);
        EXPECT_TRUE(bit_equal(*whole, *chunked)) << "chunks of " << chunk;
    }
}

TEST_P(ModelRunnerBits, ShuffledBlocksAndThreadsChangeNothing) {
    const std::vector<int32_t> ids = tiny::ids(70);
    Result<tiny::Opened> plain = open(options(), 1);
    ASSERT_OK(plain);
    const Result<Logits> expected = all_logits(*plain->runner, ids, 32);
    ASSERT_OK(expected);
    for (const uint64_t seed : {7u, 8u, 9u}) {
        RunnerOptions shuffled = options();
        shuffled.shuffle_blocks_seed = seed;
        Result<tiny::Opened> opened = open(shuffled, 2);
        ASSERT_OK(opened);
        const Result<Logits> logits = all_logits(*opened->runner, ids, 32);
        ASSERT_OK(logits);
        EXPECT_TRUE(bit_equal(*expected, *logits)) << "seed " << seed;
    }
}

TEST_P(ModelRunnerBits, AMixedStepEqualsEachSequenceAlone) {
    RunnerOptions shared = options();
    shared.sequences_max = 3;
    Result<tiny::Opened> opened = open(shared);
    ASSERT_OK(opened);
    ModelRunner& runner = *opened->runner;
    const std::vector<int32_t> a = tiny::ids(6, 1), b = tiny::ids(17, 2), c = tiny::ids(33, 3);
    Logits alone;
    for (const auto* ids : {&a, &b, &c}) {
        const Result<Logits> logits = all_logits(runner, *ids, ids->size());
        ASSERT_OK(logits);
        alone.insert(alone.end(), logits->begin(), logits->end());
    }
    Result<Sequence> sa = runner.open(), sb = runner.open(), sc = runner.open();
    ASSERT_TRUE(sa.ok() && sb.ok() && sc.ok());
    const std::span<const int32_t> spa(a), spc(c);
    // Two prefills, then decode beside a prefill and the rest of another.
    const StepItem first[] = {{&*sc, spc.first(20), 20, {}}, {&*sa, spa.first(5), 5, {}}};
    const Status one = runner.step(first);
    ASSERT_OK(one);
    const Logits l1 = copy_of(runner.logits());
    const StepItem second[] = {
        {&*sa, spa.subspan(5), 1, {}}, {&*sb, b, 17, {}}, {&*sc, spc.subspan(20), 13, {}}};
    const Status two = runner.step(second);
    ASSERT_OK(two);
    const Logits l2 = copy_of(runner.logits());
    const auto rows = [](const Logits& logits, size_t from, size_t count) {
        const auto begin = logits.begin() + static_cast<ptrdiff_t>(from * tiny::kVocabulary);
        return Logits(begin, begin + static_cast<ptrdiff_t>(count * tiny::kVocabulary));
    };
    EXPECT_TRUE(bit_equal(rows(alone, 0, 5), rows(l1, 20, 5))) << "a, prefill";
    EXPECT_TRUE(bit_equal(rows(alone, 5, 1), rows(l2, 0, 1))) << "a, decode";
    EXPECT_TRUE(bit_equal(rows(alone, 6, 17), rows(l2, 1, 17))) << "b";
    EXPECT_TRUE(bit_equal(rows(alone, 23, 20), rows(l1, 0, 20))) << "c, first part";
    EXPECT_TRUE(bit_equal(rows(alone, 43, 13), rows(l2, 18, 13))) << "c, second part";
}

INSTANTIATE_TEST_SUITE_P(Tiny, ModelRunnerBits,
                         testing::Values(Kind{"llama-q4_1.gguf", TENON_COMPUTE_FAST},
                                         Kind{"mistral-q8_0.gguf", TENON_COMPUTE_FAST},
                                         Kind{"llama3-tied-q4_0.gguf", TENON_COMPUTE_PRECISE},
                                         Kind{"llama3-untied-bf16.gguf", TENON_COMPUTE_PRECISE},
                                         Kind{"llama3-tied-f32.gguf", TENON_COMPUTE_FAST},
                                         Kind{"qwen2-tied-q8_0.gguf", TENON_COMPUTE_FAST},
                                         Kind{"qwen3-q8_0.gguf", TENON_COMPUTE_FAST},
                                         Kind{"gemma3-q8_0.gguf", TENON_COMPUTE_FAST},
                                         Kind{"gemma3-f32.gguf", TENON_COMPUTE_PRECISE},
                                         Kind{"phi3-q8_0.gguf", TENON_COMPUTE_FAST}),
                         [](const auto& kind) {
                             std::string name = kind.param.file;
                             name.resize(name.find('.'));
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name + (kind.param.compute == TENON_COMPUTE_FAST ? "_fast"
                                                                                     : "_precise");
                         });

class ModelRunnerTest : public testing::Test {
protected:
    void SetUp() override { SKIP_WITHOUT("cpu"); }
    const std::string file_ = tiny::path("llama3-tied-f32.gguf");
};

TEST_F(ModelRunnerTest, LogitsOfEveryCheckpointLieWithinAThousandthOfTransformersOnEveryIsa) {
    // The ids and places of tiny.json, which is JSON without escapes.
    const std::vector<char> bytes = tiny::read_bytes(tiny::path("tiny.json"));
    const std::string json(bytes.begin(), bytes.end());
    const auto numbers = [&](const std::string& key) {
        std::vector<int32_t> values;
        size_t at = json.find('[', json.find('"' + key + '"'));
        const size_t end = json.find(']', at);
        while (at < end) {
            char* next = nullptr;
            values.push_back(static_cast<int32_t>(std::strtol(json.c_str() + at + 1, &next, 10)));
            at = json.find_first_of(",]", static_cast<size_t>(next - json.c_str()));
        }
        return values;
    };
    const std::vector<int32_t> ids = numbers("ids"), positions = numbers("positions");
    ASSERT_EQ(ids.size(), 96u);
    ASSERT_EQ(positions.size(), 48u);
    int tested = 0;
#if defined(__aarch64__)
    const std::vector<std::string> levels{"scalar", "neon", "dotprod", "i8mm"};
#else
    const std::vector<std::string> levels{"scalar", "avx2", "avx512"};
#endif
    for (const std::string& isa : levels) {
        config::EngineConfig config = tiny::config();
        config.plugins["cpu"]["force_isa"] = isa;
        if (!open_device(config).ok()) {
            std::printf("skipped: this processor has no %s\n", isa.c_str());
            continue;
        }
        for (const auto& entry : std::filesystem::directory_iterator(tiny::path(""))) {
            if (entry.path().extension() != ".gguf") continue;
            RunnerOptions options = tiny::logits_options();
            options.compute = TENON_COMPUTE_PRECISE;
            options.kv_dtype = TENON_F32;
            Result<tiny::Opened> opened = tiny::open(entry.path().string(), options, config);
            ASSERT_OK(opened);
            const Result<Logits> logits = all_logits(*opened->runner, ids, ids.size());
            ASSERT_OK(logits);
            std::filesystem::path reference = entry.path();
            const std::vector<char> expected =
                tiny::read_bytes(reference.replace_extension(".bin").string());
            ASSERT_EQ(expected.size(), positions.size() * tiny::kVocabulary * sizeof(float));
            float worst = 0;
            for (size_t p = 0; p < positions.size(); ++p) {
                for (size_t v = 0; v < tiny::kVocabulary; ++v) {
                    float want = 0;
                    std::memcpy(&want, expected.data() + (p * tiny::kVocabulary + v) * 4, 4);
                    const size_t row = static_cast<size_t>(positions[p]);
                    worst =
                        std::max(worst, std::fabs((*logits)[row * tiny::kVocabulary + v] - want));
                }
            }
            EXPECT_LE(worst, 1e-3f) << entry.path().filename() << " on " << isa;
            ++tested;
        }
    }
    EXPECT_GE(tested, 20);
}

TEST_F(ModelRunnerTest, GreedyIsTheArgmaxOfTheLogits) {
    RunnerOptions draws = tiny::logits_options();
    draws.end = model::StepShape::End::kSample;
    Result<tiny::Opened> logits = tiny::open(file_, tiny::logits_options());
    Result<tiny::Opened> sampled = tiny::open(file_, draws);
    ASSERT_OK(logits);
    ASSERT_OK(sampled);
    const std::vector<int32_t> ids = tiny::ids(40);
    const Result<Logits> all = all_logits(*logits->runner, ids, ids.size());
    ASSERT_OK(all);
    Result<Sequence> sequence = sampled->runner->open();
    ASSERT_OK(sequence);
    const StepItem item{&*sequence, ids, 40, {}};
    const Status status = sampled->runner->step({&item, 1});
    ASSERT_OK(status);
    ASSERT_EQ(sampled->runner->sampled().size(), ids.size());
    for (size_t r = 0; r < ids.size(); ++r) {
        const auto row = all->begin() + static_cast<ptrdiff_t>(r * tiny::kVocabulary);
        EXPECT_EQ(sampled->runner->sampled()[r],
                  std::max_element(row, row + tiny::kVocabulary) - row);
    }
}

TEST_F(ModelRunnerTest, ADrawnTokenDependsOnItsSeedAndNotOnItsNeighbours) {
    RunnerOptions options = tiny::logits_options();
    options.end = model::StepShape::End::kSample;
    options.sequences_max = 3;
    Result<tiny::Opened> opened = tiny::open(file_, options);
    ASSERT_OK(opened);
    ModelRunner& runner = *opened->runner;
    const std::vector<int32_t> ids = tiny::ids(9), other = tiny::ids(21, 5);
    const auto draw = [&](uint64_t seed, bool neighbours) {
        sampling::SamplingParams params{1.0f, 50, 0.9f, 0.0f, seed};
        sampling::SamplingParams theirs{1.5f, 0, 1.0f, 0.0f, seed + 1};
        Result<Sequence> mine = runner.open(), before = runner.open(), after = runner.open();
        std::vector<StepItem> items;
        if (neighbours) items.push_back({&*before, other, 1, &theirs});
        items.push_back({&*mine, ids, 9, &params});
        if (neighbours) items.push_back({&*after, ids, 2, &theirs});
        const Status status = runner.step(items);
        EXPECT_TRUE(status.ok());
        const auto all = runner.sampled();
        const auto from = all.subspan(neighbours ? 1 : 0, 9);
        return std::vector<int32_t>(from.begin(), from.end());
    };
    const std::vector<int32_t> first = draw(42, false);
    EXPECT_EQ(first, draw(42, false));
    EXPECT_EQ(first, draw(42, true));
    EXPECT_NE(first, draw(43, false));
}

TEST_F(ModelRunnerTest, ACancelledStepLeavesTheRunnerAndItsSequencesUsable) {
    uint32_t cancel = 0;
    RunnerOptions options = tiny::logits_options();
    options.cancel = &cancel;
    Result<tiny::Opened> opened = tiny::open(file_, options);
    ASSERT_OK(opened);
    ModelRunner& runner = *opened->runner;
    const std::vector<int32_t> ids = tiny::ids(24);
    const Result<Logits> expected = all_logits(runner, ids, 12);
    ASSERT_OK(expected);
    Result<Sequence> sequence = runner.open();
    ASSERT_OK(sequence);
    const std::span<const int32_t> all(ids);
    const StepItem first{&*sequence, all.first(12), 12, {}};
    ASSERT_TRUE(runner.step({&first, 1}).ok());
    const StepItem second{&*sequence, all.subspan(12), 12, {}};
    cancel = 1;
    for (int i = 0; i < 3; ++i) {
        const Status status = runner.step({&second, 1});
        ASSERT_FALSE(status.ok());
        EXPECT_EQ(status.error().code, Code::kCancelled) << status.error().message;
        EXPECT_EQ(sequence->length(), 12u);
    }
    cancel = 0;
    const Status again = runner.step({&second, 1});
    ASSERT_OK(again);
    EXPECT_TRUE(bit_equal(Logits(expected->begin() + 12 * tiny::kVocabulary, expected->end()),
                          copy_of(runner.logits())));
}

TEST_F(ModelRunnerTest, CancelFromAnotherThreadEndsALoopOfSteps) {
    uint32_t cancel = 0;
    RunnerOptions options = tiny::logits_options(4096);
    options.step_tokens_max = 64;
    options.logit_rows_max = 1;
    options.cancel = &cancel;
    Result<tiny::Opened> opened = tiny::open(file_, options);
    ASSERT_OK(opened);
    std::atomic<int> steps{0};
    std::thread canceller([&] {
        while (steps.load() < 3)
            std::this_thread::yield();
        __atomic_store_n(&cancel, 1u, __ATOMIC_RELAXED);
    });
    Status status;
    const std::vector<int32_t> ids = tiny::ids(64);
    while (status.ok() && steps < 20000) {
        Result<Sequence> sequence = opened->runner->open();
        status = sequence.ok() ? opened->runner->prefill(*sequence, ids) : Status(sequence.error());
        ++steps;
    }
    canceller.join();
    ASSERT_FALSE(status.ok()) << "no step saw the cancel word";
    EXPECT_EQ(status.error().code, Code::kCancelled) << status.error().message;
}

TEST_F(ModelRunnerTest, AFullContextIsOneSentenceAndNothingGrows) {
    RunnerOptions options = tiny::logits_options(20);
    options.step_tokens_max = 64;
    Result<tiny::Opened> opened = tiny::open(file_, options);
    ASSERT_OK(opened);
    Result<Sequence> sequence = opened->runner->open();
    ASSERT_OK(sequence);
    const std::vector<int32_t> ids = tiny::ids(21);
    const StepItem over{&*sequence, ids, 1, {}};
    const Status refused = opened->runner->step({&over, 1});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().message, "the sequence would have 21 tokens; its context holds 20");
    EXPECT_EQ(sequence->length(), 0u);
    const StepItem fits{&*sequence, std::span<const int32_t>(ids).first(20), 1, {}};
    EXPECT_TRUE(opened->runner->step({&fits, 1}).ok());
    EXPECT_EQ(sequence->length(), 20u);
}

TEST_F(ModelRunnerTest, WithoutAFreeBlockNoSequenceOfTheStepGrows) {
    RunnerOptions options = tiny::logits_options(32);
    options.sequences_max = 2;
    options.step_tokens_max = 64;
    Result<tiny::Opened> opened = tiny::open(file_, options);
    ASSERT_OK(opened);
    ModelRunner& runner = *opened->runner;
    Result<Sequence> a = runner.open(), b = runner.open(), c = runner.open();
    ASSERT_TRUE(a.ok() && b.ok() && c.ok());
    const std::vector<int32_t> ids = tiny::ids(32);
    const std::span<const int32_t> all(ids);
    // Four blocks of 16: a takes two, b one, and then a second of b and one of c are one too many.
    const StepItem first[] = {{&*a, ids, 1, {}}, {&*b, all.first(16), 1, {}}};
    ASSERT_TRUE(runner.step(first).ok());
    const StepItem second[] = {{&*b, all.first(1), 1, {}}, {&*c, all.first(1), 1, {}}};
    const Status refused = runner.step(second);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Code::kOomDevice) << refused.error().message;
    EXPECT_EQ(b->length(), 16u);
    EXPECT_EQ(c->length(), 0u);
    // b gave the last block back.
    EXPECT_TRUE(runner.step({&second[1], 1}).ok());
    EXPECT_EQ(c->length(), 1u);
    a->truncate(16);
    EXPECT_TRUE(runner.step(second).ok());
    EXPECT_EQ(b->length(), 17u);
    EXPECT_EQ(c->length(), 2u);
}

TEST_F(ModelRunnerTest, ATruncatedSequenceGrowsAgainToTheSameLogits) {
    Result<tiny::Opened> opened = tiny::open(file_, tiny::logits_options());
    ASSERT_OK(opened);
    ModelRunner& runner = *opened->runner;
    const std::vector<int32_t> ids = tiny::ids(40), noise = tiny::ids(40, 9);
    const Result<Logits> expected = all_logits(runner, ids, 40);
    ASSERT_OK(expected);
    Result<Sequence> sequence = runner.open();
    ASSERT_OK(sequence);
    const std::span<const int32_t> all(ids);
    const StepItem head{&*sequence, all.first(19), 1, {}}, wrong{&*sequence, noise, 1, {}},
        tail{&*sequence, all.subspan(19), 21, {}};
    ASSERT_TRUE(runner.step({&head, 1}).ok());
    ASSERT_TRUE(runner.step({&wrong, 1}).ok());
    sequence->truncate(19);
    ASSERT_TRUE(runner.step({&tail, 1}).ok());
    EXPECT_TRUE(bit_equal(Logits(expected->begin() + 19 * tiny::kVocabulary, expected->end()),
                          copy_of(runner.logits())));
}

TEST_F(ModelRunnerTest, RefusesWhatWasNotPlanned) {
    RunnerOptions options = tiny::logits_options(64);
    options.step_tokens_max = 8;
    options.logit_rows_max = 4;
    Result<tiny::Opened> opened = tiny::open(file_, options);
    ASSERT_OK(opened);
    ModelRunner& runner = *opened->runner;
    Result<Sequence> sequence = runner.open();
    ASSERT_OK(sequence);
    const auto message = [&](std::vector<int32_t> ids, uint32_t rows) {
        const StepItem item{&*sequence, ids, rows, {}};
        const Status status = runner.step({&item, 1});
        EXPECT_EQ(sequence->length(), 0u);
        return status.ok() ? std::string() : status.error().message;
    };
    EXPECT_EQ(message({1, 288}, 1), "token id 288 is outside 0 to 287");
    EXPECT_EQ(message({-1}, 1), "token id -1 is outside 0 to 287");
    EXPECT_EQ(message({}, 1),
              "a step item has 0 tokens and 1 logit rows; expected at least 1 "
              "token and no more rows than tokens");
    EXPECT_EQ(message({1, 2}, 3),
              "a step item has 2 tokens and 3 logit rows; expected at least 1 "
              "token and no more rows than tokens");
    EXPECT_EQ(message(tiny::ids(9), 1),
              "a step of 1 sequences, 9 tokens and 1 rows; at most 1, 8 "
              "and 4 were planned");
    EXPECT_EQ(message(tiny::ids(8), 5),
              "a step of 1 sequences, 8 tokens and 5 rows; at most 1, 8 "
              "and 4 were planned");
    EXPECT_FALSE(runner.step({}).ok());
}

TEST_F(ModelRunnerTest, NanWeightsDrawNoToken) {
    std::vector<char> bytes = tiny::read_bytes(file_);
    {
        const Result<formats::LoadedGguf> gguf = formats::load_gguf(file_);
        ASSERT_OK(gguf);
        const Result<const formats::GgufTensor*> norm = gguf->gguf.get_tensor("output_norm.weight");
        ASSERT_OK(norm);
        const float nan = std::numeric_limits<float>::quiet_NaN();
        std::memcpy(bytes.data() + (*norm)->offset, &nan, sizeof nan);
    }
    const tiny::ScratchFile file("nan.gguf", bytes);
    RunnerOptions options = tiny::logits_options();
    options.end = model::StepShape::End::kSample;
    Result<tiny::Opened> opened = tiny::open(file.path(), options);
    ASSERT_OK(opened);
    Result<Sequence> sequence = opened->runner->open();
    ASSERT_OK(sequence);
    for (const float temperature : {0.0f, 1.0f}) {
        const Status status =
            opened->runner->prefill(*sequence, tiny::ids(5), {.temperature = temperature});
        ASSERT_OK(status);
        EXPECT_EQ(opened->runner->sampled()[0], -1);
        sequence->truncate(0);
    }
}

TEST_F(ModelRunnerTest, SaysHowMuchMemoryItHolds) {
    Result<tiny::Opened> opened = tiny::open(file_, tiny::logits_options(128));
    ASSERT_OK(opened);
    const RunnerMemory& memory = opened->runner->memory();
    const model::ModelConfig& config = opened->model.model->config();
    EXPECT_GE(memory.kv_pool,
              uint64_t{128} * config.layers * config.kv_heads * (config.dim_k + config.dim_v) * 2);
    EXPECT_GT(memory.weights, 100000u);
    EXPECT_GT(memory.buffers, uint64_t{128} * tiny::kVocabulary * 4);
    EXPECT_TRUE(opened->runner->placement().empty());  // fallback 'error': nothing was rewritten
}

TEST(ModelRunnerNull, RunsEveryNodeOfEveryArchitectureWithoutAFallback) {
    SKIP_WITHOUT("null");
    RunnerOptions options = tiny::logits_options();
    options.end = model::StepShape::End::kSample;
    for (const char* file : {"mistral-q4_1.gguf", "qwen2-yarn-f32.gguf", "qwen3-q8_0.gguf",
                             "gemma3-q8_0.gguf", "phi3-q8_0.gguf"}) {
        SCOPED_TRACE(file);
        Result<tiny::Opened> opened = tiny::open(tiny::path(file), options, tiny::config("null"));
        ASSERT_OK(opened);
        EXPECT_TRUE(opened->runner->placement().empty());
        Result<Sequence> sequence = opened->runner->open();
        ASSERT_OK(sequence);
        const Status status = opened->runner->prefill(*sequence, tiny::ids(5));
        ASSERT_OK(status);
        EXPECT_EQ(opened->runner->sampled()[0], 0);
    }
}

}  // namespace
}  // namespace tenon::engine
