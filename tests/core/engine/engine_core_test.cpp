// Many sequences on the tiny checkpoints: what one request gets never depends on how it was run.
#include "core/engine/engine_core.h"

#include "core/host/sched_policy.h"
#include "tests/core/engine/tiny.h"

#include <map>
#include <random>
#include <set>
#include <thread>

namespace tenon::engine {
namespace {

// Gathers what a sink is told, and that it is told in order.
struct Ledger : OutputSink {
    std::string text;
    std::vector<int32_t> tokens;
    std::vector<OutputToken> full;
    std::vector<float> embedding;
    std::optional<Finish> finish;
    int finishes = 0, scheduled = 0;

    void on_delta(OutputDelta&& delta) override {
        EXPECT_EQ(finishes, 0) << "a delta after the finish";
        scheduled += delta.is_scheduled ? 1 : 0;
        text += delta.text;
        for (OutputToken& token : delta.tokens) {
            tokens.push_back(token.token);
            full.push_back(std::move(token));
        }
        if (!delta.embedding.empty()) embedding = std::move(delta.embedding);
        if (delta.finish) {
            ++finishes;
            finish = std::move(delta.finish);
        }
    }
    bool on_engine_lost() override { return true; }
};

struct Rig {
    explicit Rig(tiny::Opened parts) : opened(std::make_unique<tiny::Opened>(std::move(parts))) {}

    std::unique_ptr<tiny::Opened> opened;  // keeps its address when the rig moves
    std::unique_ptr<sched::Scheduler> scheduler;
    std::unique_ptr<EngineCore> core;
    GenerationId next = 1;

    std::shared_ptr<Ledger> submit(GenerationRequest request) {
        auto ledger = std::make_shared<Ledger>();
        request.id = next++;
        Command command{Command::Kind::kSubmit};
        command.id = request.id;
        command.request = std::make_unique<GenerationRequest>(std::move(request));
        command.sink = ledger;
        core->obey(std::move(command));
        return ledger;
    }
    // Until everything has ended; every turn keeps the rules of ownership.
    void run() {
        for (int turn = 0; !core->is_idle(); ++turn) {
            core->step();
            ASSERT_EQ(core->check(), "") << "turn " << turn;
            ASSERT_LT(turn, 100000) << "the loop does not end";
        }
    }
};

struct RigOptions {
    uint32_t sequences = 8, blocks = 0, chunk = 128, threads = 0;
    CoreOptions core = {};
    bool deterministic = true;
    double conservativeness = 1;
    std::string backend = "cpu";
};

RigOptions usual() { return RigOptions(); }

Result<Rig> make_rig(const RigOptions& how) {
    RunnerOptions options;
    options.context_length = 256;
    options.sequences_max = how.sequences;
    options.step_tokens_max = std::max(how.chunk, how.sequences);
    options.kv_blocks = how.blocks;
    options.end = model::StepShape::End::kSampleAndLogits;
    options.embeddings = true;
    options.deterministic = how.deterministic;
    config::EngineConfig config = tiny::config(how.backend);
    config.threads = how.threads;
    TENON_TRY(tiny::Opened opened,
              tiny::open(tiny::path("llama3-tied-q4_1.gguf"), std::move(options), config));
    Rig rig(std::move(opened));
    sched::SchedulerOptions plan;
    plan.chunked_prefill_size = how.chunk;
    plan.schedule_conservativeness = how.conservativeness;
    rig.scheduler = std::make_unique<sched::Scheduler>(nullptr, plan);
    CoreOptions core = how.core;
    core.max_running_requests = how.sequences;
    rig.core = std::make_unique<EngineCore>(*rig.opened->runner, rig.opened->model.tokenizer,
                                            *rig.scheduler, core);
    return rig;
}

GenerationRequest ask(uint32_t prompt, uint32_t max_tokens, uint32_t salt = 1,
                      float temperature = 0) {
    GenerationRequest request;
    request.prompt = tiny::ids(prompt, salt);
    request.max_tokens = max_tokens;
    request.ignore_eos = true;
    request.sampling.temperature = temperature;
    request.sampling.seed = salt;
    return request;
}

class EngineCoreTest : public testing::Test {
protected:
    void SetUp() override { SKIP_WITHOUT("cpu"); }
};

std::vector<int32_t> alone(const GenerationRequest& request) {
    Result<Rig> rig = make_rig(usual());
    EXPECT_TRUE(rig.ok());
    const auto ledger = rig->submit(request);
    rig->run();
    EXPECT_EQ(ledger->finishes, 1);
    EXPECT_EQ(ledger->tokens.size(), request.max_tokens);
    return ledger->tokens;
}

TEST_F(EngineCoreTest, ARequestGetsTheSameTokensHoweverItIsRun) {
    const GenerationRequest greedy = ask(70, 24), sampled = ask(45, 24, 9, 1.0f);
    const std::vector<int32_t> greedy_alone = alone(greedy), sampled_alone = alone(sampled);
    EXPECT_NE(greedy_alone, sampled_alone);

    std::vector<RigOptions> ways;
    for (const uint32_t chunk : {16u, 64u, 128u}) {
        RigOptions way;
        way.chunk = chunk;
        ways.push_back(way);
    }
    ways.emplace_back().core.overlap = true;
    ways.emplace_back().core.retract_every = 1;
    ways.emplace_back().core.retract_every = 3;
    ways.emplace_back().core.use_radix_cache = false;
    ways.emplace_back().threads = 1;
    RigOptions tight;  // 8 sequences of up to 6 blocks: some must go and come back
    tight.blocks = 18;
    tight.conservativeness = 0.01;
    ways.push_back(tight);
    tight.core.overlap = true;
    ways.push_back(tight);
    for (size_t w = 0; w < ways.size(); ++w) {
        SCOPED_TRACE("way " + std::to_string(w));
        Result<Rig> rig = make_rig(ways[w]);
        ASSERT_OK(rig);
        for (int round = 0; round < 2; ++round) {  // the second finds a warm cache
            std::vector<std::shared_ptr<Ledger>> others;
            for (uint32_t i = 0; i < 5; ++i)
                others.push_back(rig->submit(ask(20 + 13 * i, 10 + i, 100 + i, 0.5f)));
            const auto one = rig->submit(greedy), two = rig->submit(sampled);
            rig->run();
            ASSERT_EQ(one->tokens, greedy_alone);
            ASSERT_EQ(two->tokens, sampled_alone);
            EXPECT_EQ(one->scheduled, 1);
            EXPECT_EQ(one->finish->reason, FinishReason::kLength);
            for (const auto& other : others)
                EXPECT_EQ(other->finishes, 1);
            if (round == 1 && ways[w].core.use_radix_cache && ways[w].blocks == 0) {
                EXPECT_EQ(one->finish->cached_tokens, 64u);
            }
        }
        EngineStats stats;
        rig->core->fill(stats);
        EXPECT_EQ(stats.blocks_used, 0u);
        const bool takes_away = ways[w].core.retract_every != 0 || ways[w].blocks != 0;
        EXPECT_EQ(stats.retractions > 0, takes_away);
    }
}

TEST_F(EngineCoreTest, APrefixIsComputedOnceAndOnlyForItsScope) {
    Result<Rig> rig = make_rig(usual());
    ASSERT_OK(rig);
    GenerationRequest request = ask(100, 4);
    request.cache_scope = "a";
    const auto first = rig->submit(request);
    rig->run();
    const auto again = rig->submit(request);
    rig->run();
    request.cache_scope = "b";
    const auto stranger = rig->submit(request);
    rig->run();
    EXPECT_EQ(first->finish->cached_tokens, 0u);
    EXPECT_EQ(again->finish->cached_tokens, 96u);
    EXPECT_EQ(stranger->finish->cached_tokens, 0u);
    EXPECT_EQ(again->tokens, first->tokens);
    EXPECT_EQ(stranger->tokens, first->tokens);
    rig->core->obey({Command::Kind::kFlushCache});
    EngineStats stats;
    rig->core->fill(stats);
    EXPECT_EQ(stats.blocks_cached, 0u);
    EXPECT_EQ(stats.blocks_free, rig->opened->runner->blocks().count());
}

TEST_F(EngineCoreTest, ACancelledRequestEndsOnceAndLeavesItsNeighboursAlone) {
    for (const bool overlap : {false, true}) {
        std::mt19937 random(7);
        RigOptions how;
        how.core.overlap = overlap;
        how.blocks = 40;
        Result<Rig> rig = make_rig(how);
        ASSERT_OK(rig);
        const GenerationRequest kept = ask(30, 40, 3);
        const std::vector<int32_t> expected = alone(kept);
        for (int round = 0; round < 30; ++round) {
            const auto ledger = rig->submit(kept);
            const GenerationId victim_id = rig->next;
            const auto victim = rig->submit(ask(50 + random() % 60, 60, 1000 + round));
            for (auto turns = random() % 20; turns > 0; --turns)
                rig->core->step();
            Command cancel{Command::Kind::kCancel};
            cancel.id = victim_id;
            rig->core->obey(std::move(cancel));
            rig->run();
            EXPECT_EQ(victim->finishes, 1);
            EXPECT_EQ(victim->finish->reason, FinishReason::kCancelled);
            ASSERT_EQ(ledger->tokens, expected);
        }
    }
}

TEST_F(EngineCoreTest, APausedRequestWaitsAndGoesOn) {
    Result<Rig> rig = make_rig(usual());
    ASSERT_OK(rig);
    const GenerationRequest request = ask(20, 20);
    const GenerationId id = rig->next;
    const auto ledger = rig->submit(request);
    for (int i = 0; i < 4; ++i)
        rig->core->step();
    Command pause{Command::Kind::kPause};
    pause.id = id;
    rig->core->obey(std::move(pause));
    const size_t before = ledger->tokens.size();
    EXPECT_GT(before, 0u);
    for (int i = 0; i < 10; ++i)
        EXPECT_FALSE(rig->core->step());
    EXPECT_EQ(ledger->tokens.size(), before);
    Command resume{Command::Kind::kResume};
    resume.id = id;
    rig->core->obey(std::move(resume));
    rig->run();
    EXPECT_EQ(ledger->tokens, alone(request));
}

TEST_F(EngineCoreTest, PenaltiesBiasesAndMinTokensDecideOnTheHost) {
    const GenerationRequest plain = ask(30, 12);
    const std::vector<int32_t> tokens = alone(plain);
    GenerationRequest biased = plain;
    biased.sampling.logit_bias = {{17, 100.0f}};
    EXPECT_EQ(alone(biased), std::vector<int32_t>(12, 17));
    // Of repeated tokens the penalty leaves each at most once.
    biased.sampling.logit_bias = {{17, 60.0f}, {18, 59.0f}, {19, 58.0f}};
    biased.sampling.frequency_penalty = 2;
    biased.sampling.presence_penalty = 2;
    biased.max_tokens = 3;
    EXPECT_EQ(alone(biased), (std::vector<int32_t>{17, 18, 19}));

    GenerationRequest stops = plain;
    stops.stop_token_ids = {tokens[2]};
    Result<Rig> rig = make_rig(usual());
    ASSERT_OK(rig);
    const auto stopped = rig->submit(stops);
    stops.min_tokens = 6;
    const auto longer = rig->submit(stops);
    rig->run();
    EXPECT_EQ(stopped->finish->reason, FinishReason::kStop);
    EXPECT_LE(stopped->tokens.size(), 2u);
    EXPECT_GE(longer->tokens.size(), 6u);
    for (size_t i = 0; i < 6; ++i)
        EXPECT_NE(longer->tokens[i], tokens[2]);
}

TEST_F(EngineCoreTest, LogprobsAreThoseOfTheRawLogits) {
    Result<Rig> rig = make_rig(usual());
    ASSERT_OK(rig);
    GenerationRequest request = ask(30, 5);
    request.logprobs = 3;
    const auto ledger = rig->submit(request);
    rig->run();
    EXPECT_EQ(ledger->tokens, alone(ask(30, 5)));
    for (const OutputToken& token : ledger->full) {
        ASSERT_EQ(token.top.size(), 3u);
        EXPECT_EQ(token.top[0].token, token.token);  // greedy
        EXPECT_EQ(token.top[0].logprob, token.logprob);
        EXPECT_GE(token.top[0].logprob, token.top[1].logprob);
        EXPECT_LT(token.logprob, 0);
    }
}

TEST_F(EngineCoreTest, EmbeddingsDoNotDependOnChunksOrNeighbours) {
    std::vector<std::vector<float>> seen;
    for (const auto& [chunk, overlap] : {std::pair(16u, false), {128u, false}, {16u, true}}) {
        RigOptions how;
        how.chunk = chunk;
        how.core.overlap = overlap;
        Result<Rig> rig = make_rig(how);
        ASSERT_OK(rig);
        const auto text = rig->submit(ask(40, 8, 5));
        GenerationRequest embed = ask(60, 1, 4);
        embed.kind = GenerationRequest::Kind::kEmbed;
        const auto one = rig->submit(embed);
        rig->run();
        ASSERT_EQ(one->finish->reason, FinishReason::kStop);
        ASSERT_EQ(one->embedding.size(), rig->opened->model.model->config().hidden_size);
        EXPECT_EQ(text->tokens, alone(ask(40, 8, 5)));
        seen.push_back(one->embedding);
        const auto alone_again = rig->submit(embed);  // no text beside it
        rig->run();
        seen.push_back(alone_again->embedding);
    }
    for (const std::vector<float>& other : seen)
        EXPECT_EQ(other, seen[0]);
}

TEST_F(EngineCoreTest, WhatCannotBeServedIsRefusedWithNumbers) {
    RigOptions how;
    how.blocks = 8;
    Result<Rig> rig = make_rig(how);
    ASSERT_OK(rig);
    const auto message = [&](GenerationRequest request) {
        const auto ledger = rig->submit(std::move(request));
        EXPECT_EQ(ledger->finishes, 1);
        EXPECT_EQ(ledger->finish->reason, FinishReason::kError);
        return ledger->finish->error ? ledger->finish->error->message : "";
    };
    EXPECT_NE(message(ask(250, 20)).find("the context holds 256"), std::string::npos);
    EXPECT_NE(message(ask(100, 40)).find("holds 128"), std::string::npos);
    EXPECT_NE(message(ask(0, 4)).find("no tokens"), std::string::npos);
    GenerationRequest outside = ask(10, 4);
    outside.prompt[3] = 288;
    EXPECT_NE(message(outside).find("token id 288 is outside 0 to 287"), std::string::npos);
    outside.prompt[3] = -1;
    EXPECT_NE(message(outside).find("token id -1"), std::string::npos);
    EXPECT_TRUE(rig->core->is_idle());
}

TEST_F(EngineCoreTest, ClocksEndWhatWaitsTooLong) {
    RigOptions how;
    how.sequences = 1;
    Result<Rig> rig = make_rig(how);
    ASSERT_OK(rig);
    const auto runs = rig->submit(ask(20, 200));
    GenerationRequest waits = ask(20, 4, 2);
    waits.queue_wait_ms = 1;
    GenerationRequest late = ask(20, 230, 3);
    late.deadline_ms = 1;
    const auto first = rig->submit(waits), second = rig->submit(late);
    rig->core->step();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    rig->run();
    EXPECT_EQ(runs->tokens.size(), 200u);
    ASSERT_TRUE(first->finish->error && second->finish->error);
    EXPECT_EQ(first->finish->error->code, Code::kBusy);
    EXPECT_EQ(second->finish->error->code, Code::kTimeout);
}

}  // namespace
}  // namespace tenon::engine
