// An EngineClient that plays a script: a test says what each sequence gets, and when.
#pragma once

#include "core/engine/engine_client.h"

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <vector>

namespace tenon::server::testing {

class FakeEngine : public engine::EngineClient {
public:
    struct Sequence {
        engine::GenerationRequest request;
        std::shared_ptr<engine::OutputSink> sink;
        bool is_cancelled = false, is_finished = false, is_paused = false;
    };
    FakeEngine() { engine_stats.is_ready = true; }

    // Runs inside submit(); the default keeps the sequence for later.
    std::function<void(FakeEngine&, size_t index)> on_submit;

    void submit(engine::GenerationRequest request,
                std::shared_ptr<engine::OutputSink> sink) override {
        sequences.push_back({std::move(request), std::move(sink)});
        if (on_submit) on_submit(*this, sequences.size() - 1);
    }
    void cancel(engine::GenerationId id) override {
        for (Sequence& s : sequences)
            if (s.request.id == id && !s.is_finished) s.is_cancelled = true;
    }
    void pause(engine::GenerationId id, bool paused) override {
        for (Sequence& s : sequences)
            if (s.request.id == id) s.is_paused = paused;
    }
    void flush_cache() override { ++flushes; }
    std::shared_ptr<const engine::EngineInfo> info() const override { return engine_info; }
    engine::EngineStats stats() const override { return engine_stats; }
    bool drain(uint32_t) override { return true; }

    // One piece of sequence `index`.
    void say(size_t index, std::string text, std::vector<engine::OutputToken> tokens = {}) {
        engine::OutputDelta delta;
        delta.id = sequences[index].request.id;
        delta.text = std::move(text);
        delta.tokens = std::move(tokens);
        sequences[index].sink->on_delta(std::move(delta));
    }
    void schedule(size_t index) {
        engine::OutputDelta delta;
        delta.id = sequences[index].request.id;
        delta.is_scheduled = true;
        sequences[index].sink->on_delta(std::move(delta));
    }
    void finish(size_t index, engine::FinishReason reason = engine::FinishReason::kStop,
                uint32_t output_tokens = 2, std::optional<Error> error = std::nullopt,
                std::optional<std::string> matched = std::nullopt) {
        Sequence& s = sequences[index];
        if (s.is_finished) return;
        s.is_finished = true;
        engine::OutputDelta delta;
        delta.id = s.request.id;
        delta.finish.emplace();
        delta.finish->reason = reason;
        delta.finish->error = std::move(error);
        delta.finish->matched = std::move(matched);
        delta.finish->prompt_tokens = static_cast<uint32_t>(s.request.prompt.size());
        delta.finish->cached_tokens = 1;
        delta.finish->output_tokens = output_tokens;
        const auto sink = std::move(s.sink);
        sink->on_delta(std::move(delta));
    }
    void embed(size_t index, std::vector<float> vector) {
        Sequence& s = sequences[index];
        s.is_finished = true;
        engine::OutputDelta delta;
        delta.id = s.request.id;
        delta.embedding = std::move(vector);
        delta.finish.emplace();
        delta.finish->prompt_tokens = static_cast<uint32_t>(s.request.prompt.size());
        const auto sink = std::move(s.sink);
        sink->on_delta(std::move(delta));
    }
    // The engine died with this sequence unfinished; whether it is computed again.
    bool lose(size_t index) {
        if (sequences[index].sink->on_engine_lost()) return true;
        finish(index, engine::FinishReason::kError, 0, Error{Code::kDeviceLost, "it died"});
        return false;
    }
    // The finishes that cancel() promised.
    void settle() {
        for (size_t i = 0; i < sequences.size(); ++i)
            if (sequences[i].is_cancelled && !sequences[i].is_finished)
                finish(i, engine::FinishReason::kCancelled);
    }

    std::vector<Sequence> sequences;
    std::shared_ptr<engine::EngineInfo> engine_info = std::make_shared<engine::EngineInfo>();
    engine::EngineStats engine_stats;
    int flushes = 0;
};

}  // namespace tenon::server::testing
