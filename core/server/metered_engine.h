// An engine that is watched: what its sequences wait for and how fast they come, for the metrics.
#pragma once

#include "core/engine/engine_client.h"

#include <memory>
#include <string>
#include <vector>

namespace tenon::server {

class Metrics;

// Passes everything on. `inner` and `metrics` outlive it and every sequence.
class MeteredEngine : public engine::EngineClient {
public:
    MeteredEngine(engine::EngineClient& inner, Metrics& metrics)
        : inner_(inner), metrics_(metrics) {}

    void submit(engine::GenerationRequest request,
                std::shared_ptr<engine::OutputSink> sink) override;
    void cancel(engine::GenerationId id) override { inner_.cancel(id); }
    void pause(engine::GenerationId id, bool paused) override { inner_.pause(id, paused); }
    void flush_cache() override { inner_.flush_cache(); }
    std::shared_ptr<const engine::EngineInfo> info() const override { return inner_.info(); }
    engine::EngineStats stats() const override { return inner_.stats(); }
    bool drain(uint32_t budget_ms) override { return inner_.drain(budget_ms); }

private:
    engine::EngineClient& inner_;
    Metrics& metrics_;
};

}  // namespace tenon::server
