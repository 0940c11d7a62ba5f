#include "core/engine/protocol.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace tenon::engine::protocol {
namespace {

GenerationRequest full_request() {
    GenerationRequest r;
    r.id = 0xfedcba9876543210;
    r.kind = GenerationRequest::Kind::kEmbed;
    r.prompt = {1, -2, 2147483647, 4};
    r.max_tokens = 5;
    r.min_tokens = 6;
    r.sampling = {.temperature = 0.5f,
                  .top_k = 7,
                  .top_p = 0.25f,
                  .min_p = 0.125f,
                  .seed = 0xffffffffffffffff,
                  .logit_bias = {{8, -1.5f}, {9, 2.5f}},
                  .repetition_penalty = 1.25f,
                  .frequency_penalty = -0.75f,
                  .presence_penalty = 1.75f};
    r.stop = {"stop", std::string("\0\xff", 2)};
    r.stop_token_ids = {10, 11};
    r.include_stop = true;
    r.ignore_eos = true;
    r.skip_special = false;
    r.logprobs = 12;
    r.priority = -13;
    r.queue_wait_ms = 14;
    r.deadline_ms = 15;
    r.cache_scope = "scope";
    return r;
}

OutputDelta full_delta() {
    OutputDelta d;
    d.id = 16;
    d.is_scheduled = true;
    d.text = "h\xc3\xa9";
    d.tokens = {{17, -0.5f, {{18, -1.f}, {19, -2.f}}}, {20, -3.f, {}}};
    d.embedding = {1.f, -2.f, std::numeric_limits<float>::infinity()};
    d.finish.emplace();
    d.finish->reason = FinishReason::kError;
    d.finish->error = Error{Code::kDeviceLost, "lost"};
    d.finish->matched = "matched";
    d.finish->prompt_tokens = 21;
    d.finish->cached_tokens = 22;
    d.finish->output_tokens = 23;
    d.finish->queue_ms = 24.5;
    d.finish->first_token_ms = 25.5;
    d.finish->total_ms = 26.5;
    d.finish->retractions = 27;
    return d;
}

config::EngineConfig full_config() {
    config::EngineConfig c;
    c.backend = "cpu";
    c.threads = 3;
    c.context_length = 77;
    c.deterministic = true;
    c.plugin_dirs = {"a", "b"};
    c.plugins = {{"cpu", {{"isa", "avx2"}, {"x", ""}}}, {"null", {}}};
    return c;
}

EngineInfo full_info() {
    EngineInfo i;
    i.model_name = "m";
    i.architecture = "a";
    i.parameters = 1ull << 40;
    i.vocab_size = 2;
    i.context_length = 3;
    i.max_running_requests = 4;
    i.block_tokens = 5;
    i.kv_blocks = 6;
    i.embedding_size = 7;
    i.device = "d";
    i.backend = "b";
    i.policy = "p";
    i.deterministic = true;
    i.memory_json = "{}";
    return i;
}

EngineStats full_stats() {
    EngineStats s;
    s.is_ready = true;
    s.not_ready = "n";
    uint32_t small = 1;
    for (auto* count :
         {&s.running, &s.waiting, &s.paused, &s.blocks_free, &s.blocks_cached, &s.blocks_used})
        *count = small++;
    uint64_t large = 1ull << 33;
    for (auto* count : {&s.steps, &s.progress, &s.prompt_tokens, &s.cached_tokens, &s.output_tokens,
                        &s.retractions, &s.evicted_blocks, &s.plans_refused, &s.finished,
                        &s.cancelled, &s.failed, &s.restarts})
        *count = large++;
    s.new_token_ratio = 0.5;
    s.busy_ratio = 0.25;
    s.last_step_age_ms = 1.5;
    s.tokens_per_second = 2.5;
    s.effective_policy = "fcfs";
    return s;
}

std::vector<Message> of_front() {
    return {Hello{"/m.gguf", full_config()},
            Submit{full_request()},
            Submit{},
            Cancel{28},
            Pause{29, true},
            FlushCache{},
            Drain{},
            Shutdown{}};
}

std::vector<Message> of_engine() {
    return {Loading{30, 31},
            Ready{full_info()},
            Deltas{{full_delta(), OutputDelta{}, full_delta()}},
            Deltas{},
            Stats{full_stats()},
            Leaving{},
            Failed{Failed::Stage::kServing, {Code::kConfig, "why"}}};
}

std::string bytes_of(const std::vector<Message>& messages) {
    std::string bytes;
    for (const Message& message : messages)
        EXPECT_TRUE(encode(message, bytes).ok());
    return bytes;
}

std::vector<Message> decode(Sender sender, std::string_view bytes) {
    std::vector<Message> out;
    const Status status = Decoder(sender).feed(bytes, out);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return out;
}

template <class T>
T pass(Sender sender, T message) {
    std::vector<Message> out = decode(sender, bytes_of({Message(std::move(message))}));
    EXPECT_EQ(out.size(), 1u);
    return std::get<T>(out.at(0));
}

TEST(Protocol, RequestKeepsEveryField) {
    const GenerationRequest a = full_request();
    const GenerationRequest b = pass(Sender::kFront, Submit{a}).request;
    EXPECT_EQ(b.id, a.id);
    EXPECT_EQ(b.kind, a.kind);
    EXPECT_EQ(b.prompt, a.prompt);
    EXPECT_EQ(b.max_tokens, a.max_tokens);
    EXPECT_EQ(b.min_tokens, a.min_tokens);
    EXPECT_EQ(b.sampling.temperature, a.sampling.temperature);
    EXPECT_EQ(b.sampling.top_k, a.sampling.top_k);
    EXPECT_EQ(b.sampling.top_p, a.sampling.top_p);
    EXPECT_EQ(b.sampling.min_p, a.sampling.min_p);
    EXPECT_EQ(b.sampling.seed, a.sampling.seed);
    EXPECT_EQ(b.sampling.logit_bias, a.sampling.logit_bias);
    EXPECT_EQ(b.sampling.repetition_penalty, a.sampling.repetition_penalty);
    EXPECT_EQ(b.sampling.frequency_penalty, a.sampling.frequency_penalty);
    EXPECT_EQ(b.sampling.presence_penalty, a.sampling.presence_penalty);
    EXPECT_EQ(b.stop, a.stop);
    EXPECT_EQ(b.stop_token_ids, a.stop_token_ids);
    EXPECT_EQ(b.include_stop, a.include_stop);
    EXPECT_EQ(b.ignore_eos, a.ignore_eos);
    EXPECT_EQ(b.skip_special, a.skip_special);
    EXPECT_EQ(b.logprobs, a.logprobs);
    EXPECT_EQ(b.priority, a.priority);
    EXPECT_EQ(b.queue_wait_ms, a.queue_wait_ms);
    EXPECT_EQ(b.deadline_ms, a.deadline_ms);
    EXPECT_EQ(b.cache_scope, a.cache_scope);
}

TEST(Protocol, HelloKeepsModelAndEveryOption) {
    const Hello b = pass(Sender::kFront, Hello{"/m.gguf", full_config()});
    EXPECT_EQ(b.model, "/m.gguf");
    EXPECT_EQ(b.config.backend, "cpu");
    EXPECT_EQ(b.config.threads, 3u);
    EXPECT_EQ(b.config.plugins, full_config().plugins);
    // Whatever options there are: equal options have equal bytes, and no default hides a field.
    config::EngineConfig decoded = b.config;
    EXPECT_EQ(bytes_of({Hello{"/m.gguf", decoded}}), bytes_of({Hello{"/m.gguf", full_config()}}));
    EXPECT_NE(bytes_of({Hello{"/m.gguf", {}}}), bytes_of({Hello{"/m.gguf", full_config()}}));
}

TEST(Protocol, DeltaKeepsEveryField) {
    const OutputDelta a = full_delta();
    const Deltas out = pass(Sender::kEngine, Deltas{{OutputDelta{}, a}});
    ASSERT_EQ(out.deltas.size(), 2u);
    EXPECT_FALSE(out.deltas[0].finish.has_value());
    const OutputDelta& b = out.deltas[1];
    EXPECT_EQ(b.id, a.id);
    EXPECT_EQ(b.is_scheduled, a.is_scheduled);
    EXPECT_EQ(b.text, a.text);
    ASSERT_EQ(b.tokens.size(), 2u);
    EXPECT_EQ(b.tokens[0].token, 17);
    EXPECT_EQ(b.tokens[0].logprob, -0.5f);
    ASSERT_EQ(b.tokens[0].top.size(), 2u);
    EXPECT_EQ(b.tokens[0].top[1].token, 19);
    EXPECT_EQ(b.tokens[0].top[1].logprob, -2.f);
    EXPECT_EQ(b.tokens[1].token, 20);
    EXPECT_EQ(b.embedding, a.embedding);
    ASSERT_TRUE(b.finish.has_value());
    EXPECT_EQ(b.finish->reason, a.finish->reason);
    ASSERT_TRUE(b.finish->error.has_value());
    EXPECT_EQ(b.finish->error->code, Code::kDeviceLost);
    EXPECT_EQ(b.finish->error->message, "lost");
    EXPECT_EQ(b.finish->matched, a.finish->matched);
    EXPECT_EQ(b.finish->prompt_tokens, 21u);
    EXPECT_EQ(b.finish->cached_tokens, 22u);
    EXPECT_EQ(b.finish->output_tokens, 23u);
    EXPECT_EQ(b.finish->queue_ms, 24.5);
    EXPECT_EQ(b.finish->first_token_ms, 25.5);
    EXPECT_EQ(b.finish->total_ms, 26.5);
    EXPECT_EQ(b.finish->retractions, 27u);
}

TEST(Protocol, InfoAndStatsKeepEveryField) {
    const EngineInfo i = pass(Sender::kEngine, Ready{full_info()}).info;
    EXPECT_EQ(i.model_name, "m");
    EXPECT_EQ(i.architecture, "a");
    EXPECT_EQ(i.parameters, 1ull << 40);
    EXPECT_EQ(i.vocab_size, 2u);
    EXPECT_EQ(i.context_length, 3u);
    EXPECT_EQ(i.max_running_requests, 4u);
    EXPECT_EQ(i.block_tokens, 5u);
    EXPECT_EQ(i.kv_blocks, 6u);
    EXPECT_EQ(i.embedding_size, 7u);
    EXPECT_EQ(i.device, "d");
    EXPECT_EQ(i.backend, "b");
    EXPECT_EQ(i.policy, "p");
    EXPECT_TRUE(i.deterministic);
    EXPECT_EQ(i.memory_json, "{}");
    const EngineStats a = full_stats();
    const EngineStats s = pass(Sender::kEngine, Stats{a}).stats;
    EXPECT_TRUE(s.is_ready);
    EXPECT_EQ(s.not_ready, "n");
    EXPECT_EQ(s.running, a.running);
    EXPECT_EQ(s.waiting, a.waiting);
    EXPECT_EQ(s.paused, a.paused);
    EXPECT_EQ(s.blocks_free, a.blocks_free);
    EXPECT_EQ(s.blocks_cached, a.blocks_cached);
    EXPECT_EQ(s.blocks_used, a.blocks_used);
    EXPECT_EQ(s.steps, a.steps);
    EXPECT_EQ(s.progress, a.progress);
    EXPECT_EQ(s.prompt_tokens, a.prompt_tokens);
    EXPECT_EQ(s.cached_tokens, a.cached_tokens);
    EXPECT_EQ(s.output_tokens, a.output_tokens);
    EXPECT_EQ(s.retractions, a.retractions);
    EXPECT_EQ(s.evicted_blocks, a.evicted_blocks);
    EXPECT_EQ(s.plans_refused, a.plans_refused);
    EXPECT_EQ(s.finished, a.finished);
    EXPECT_EQ(s.cancelled, a.cancelled);
    EXPECT_EQ(s.failed, a.failed);
    EXPECT_EQ(s.restarts, a.restarts);
    EXPECT_EQ(s.new_token_ratio, a.new_token_ratio);
    EXPECT_EQ(s.busy_ratio, a.busy_ratio);
    EXPECT_EQ(s.last_step_age_ms, a.last_step_age_ms);
    EXPECT_EQ(s.tokens_per_second, a.tokens_per_second);
    EXPECT_EQ(s.effective_policy, a.effective_policy);
}

TEST(Protocol, SmallMessagesKeepTheirFields) {
    EXPECT_EQ(pass(Sender::kFront, Cancel{28}).id, 28u);
    EXPECT_EQ(pass(Sender::kFront, Pause{29, true}).id, 29u);
    EXPECT_TRUE(pass(Sender::kFront, Pause{29, true}).paused);
    EXPECT_EQ(pass(Sender::kEngine, Loading{30, 31}).done, 30u);
    EXPECT_EQ(pass(Sender::kEngine, Loading{30, 31}).total, 31u);
    const Failed failed =
        pass(Sender::kEngine, Failed{Failed::Stage::kServing, {Code::kConfig, "why"}});
    EXPECT_EQ(failed.stage, Failed::Stage::kServing);
    EXPECT_EQ(failed.error.code, Code::kConfig);
    EXPECT_EQ(failed.error.message, "why");
}

TEST(Protocol, LayoutIsLittleEndianWithItsLengthFirst) {
    EXPECT_EQ(bytes_of({Pause{0x0102, true}}),
              std::string("\x0b\0\0\0\x04\0\x02\x01\0\0\0\0\0\0\x01", 15));
}

TEST(Protocol, AnyCutGivesTheSameMessages) {
    for (const auto& [sender, messages] :
         {std::pair(Sender::kFront, of_front()), std::pair(Sender::kEngine, of_engine())}) {
        const std::string bytes = bytes_of(messages);
        std::mt19937 random(1);
        for (int run = 0; run < 200; ++run) {
            Decoder decoder(sender);
            std::vector<Message> out;
            // The first run goes byte by byte.
            for (size_t at = 0, size = 1; at < bytes.size(); at += size) {
                if (run > 0) size = 1 + random() % (run < 100 ? 8 : 600);
                size = std::min(size, bytes.size() - at);
                ASSERT_TRUE(decoder.feed(std::string_view(bytes).substr(at, size), out).ok());
            }
            ASSERT_EQ(out.size(), messages.size());
            ASSERT_EQ(bytes_of(out), bytes);
        }
    }
}

TEST(Protocol, AMessageFromTheWrongSideIsAnError) {
    std::vector<Message> out;
    EXPECT_FALSE(Decoder(Sender::kFront).feed(bytes_of(of_engine()), out).ok());
    EXPECT_FALSE(Decoder(Sender::kEngine).feed(bytes_of(of_front()), out).ok());
    EXPECT_TRUE(out.empty());
}

TEST(Protocol, AnotherBuildIsRefused) {
    for (const auto& [sender, message] : {std::pair<Sender, Message>(Sender::kFront, Hello{}),
                                          std::pair<Sender, Message>(Sender::kEngine, Ready{})}) {
        std::string bytes = bytes_of({message});
        bytes[12] ^= 1;  // in the fingerprint
        std::vector<Message> out;
        const Status status = Decoder(sender).feed(bytes, out);
        ASSERT_FALSE(status.ok());
        EXPECT_NE(status.error().message.find("another build"), std::string::npos);
    }
}

TEST(Protocol, ADecoderStaysInItsError) {
    Decoder decoder(Sender::kFront);
    std::vector<Message> out;
    EXPECT_FALSE(decoder.feed(std::string(16, '\xff'), out).ok());
    EXPECT_FALSE(decoder.feed(bytes_of({Cancel{1}}), out).ok());
    EXPECT_TRUE(out.empty());
}

TEST(Protocol, EverySizeHasABound) {
    std::string bytes;
    Submit large;
    large.request.stop.assign(257, "x");
    EXPECT_EQ(encode(large, bytes).error().code, Code::kInvalid);
    large.request.stop.assign(1, std::string((64 << 10) + 1, 'x'));
    EXPECT_FALSE(encode(large, bytes).ok());
    large = {};
    large.request.prompt.resize((1 << 24) + 1);
    EXPECT_FALSE(encode(large, bytes).ok());
    large = {};
    large.request.cache_scope.assign(5000, 'x');
    EXPECT_FALSE(encode(large, bytes).ok());
    EXPECT_FALSE(
        encode(Failed{{}, {Code::kData, std::string(kErrorBytesMax + 1, 'x')}}, bytes).ok());
    EXPECT_FALSE(encode(Deltas{std::vector<OutputDelta>((1 << 16) + 1)}, bytes).ok());
    EXPECT_TRUE(bytes.empty());

    // A length that is announced and does not come costs nothing.
    std::vector<Message> out;
    const std::string head("\xff\xff\xff\x04\x02\x00", 6);
    Decoder decoder(Sender::kFront);
    EXPECT_TRUE(decoder.feed(head, out).ok());
    EXPECT_FALSE(
        Decoder(Sender::kFront).feed(std::string("\xff\xff\xff\xff\x02\x00", 6), out).ok());
    EXPECT_FALSE(
        Decoder(Sender::kFront).feed(std::string("\x41\x00\x00\x00\x03\x00", 6), out).ok());
    EXPECT_FALSE(
        Decoder(Sender::kFront).feed(std::string("\x01\x00\x00\x00\x03\x00", 6), out).ok());
}

TEST(Protocol, EveryTruncationIsAnError) {
    for (const auto& [sender, messages] :
         {std::pair(Sender::kFront, of_front()), std::pair(Sender::kEngine, of_engine())}) {
        for (const Message& message : messages) {
            const std::string whole = bytes_of({message});
            for (size_t size = 6; size < whole.size(); ++size) {
                std::string cut = whole.substr(0, size);
                const auto length = static_cast<uint32_t>(size - 4);
                std::memcpy(cut.data(), &length, 4);
                std::vector<Message> out;
                EXPECT_FALSE(Decoder(sender).feed(cut, out).ok()) << message.index() << " " << size;
            }
            std::string longer = whole + '\0';
            const auto length = static_cast<uint32_t>(longer.size() - 4);
            std::memcpy(longer.data(), &length, 4);
            std::vector<Message> out;
            EXPECT_FALSE(Decoder(sender).feed(longer, out).ok()) << message.index();
        }
    }
}

// What a decoder accepts has one encoding: that of the message it gave.
TEST(Protocol, RandomMutationsAreAnErrorOrAMessage) {
    const std::string bytes[] = {bytes_of(of_front()), bytes_of(of_engine())};
    std::mt19937 random(2);
    size_t accepted = 0;
    for (int run = 0; run < 100'000; ++run) {
        const bool front = run % 2 == 0;
        std::string mutant = bytes[front ? 0 : 1];
        for (uint32_t count = 1 + random() % 4; count > 0; --count) {
            const size_t at = random() % mutant.size();
            switch (random() % 4) {
                case 0: mutant[at] ^= static_cast<char>(1 << random() % 8); break;
                case 1: mutant[at] = static_cast<char>(random()); break;
                case 2: mutant.erase(at, 1 + random() % 9); break;
                default: mutant.insert(at, 1 + random() % 9, static_cast<char>(random())); break;
            }
        }
        std::vector<Message> out;
        const Status status = Decoder(front ? Sender::kFront : Sender::kEngine).feed(mutant, out);
        const std::string again = bytes_of(out);
        ASSERT_EQ(again, mutant.substr(0, again.size()));
        if (status.ok()) ++accepted;
    }
    EXPECT_GT(accepted, 1000u);  // changes of a number
    EXPECT_LT(accepted, 99'000u);
}

}  // namespace
}  // namespace tenon::engine::protocol
