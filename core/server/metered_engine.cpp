#include "core/server/metered_engine.h"

#include "core/server/metrics.h"

#include <chrono>
#include <utility>

namespace tenon::server {

namespace {

using Steady = std::chrono::steady_clock;

double seconds_between(Steady::time_point from, Steady::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

// Calls are serial, so plain members do.
class MeteredSink : public engine::OutputSink {
public:
    MeteredSink(std::shared_ptr<engine::OutputSink> inner, Metrics& metrics)
        : inner_(std::move(inner)), metrics_(metrics) {}

    void on_delta(engine::OutputDelta&& delta) override {
        if (delta.is_scheduled && !std::exchange(was_scheduled_, true)) {
            metrics_.observe_queue(seconds_between(submitted_, Steady::now()));
        }
        if (!delta.tokens.empty()) {
            const Steady::time_point now = Steady::now();
            if (!std::exchange(has_token_, true)) {
                metrics_.observe_first_token(seconds_between(submitted_, now));
            } else {
                // Tokens that come together share the time.
                const double gap =
                    seconds_between(last_, now) / static_cast<double>(delta.tokens.size());
                for (size_t i = 0; i < delta.tokens.size(); ++i)
                    metrics_.observe_gap(gap);
            }
            last_ = now;
        }
        inner_->on_delta(std::move(delta));
    }

    bool on_engine_lost() override { return inner_->on_engine_lost(); }

private:
    const std::shared_ptr<engine::OutputSink> inner_;
    Metrics& metrics_;
    const Steady::time_point submitted_ = Steady::now();
    Steady::time_point last_{};
    bool was_scheduled_ = false, has_token_ = false;
};

}  // namespace

void MeteredEngine::submit(engine::GenerationRequest request,
                           std::shared_ptr<engine::OutputSink> sink) {
    inner_.submit(std::move(request), std::make_shared<MeteredSink>(std::move(sink), metrics_));
}

}  // namespace tenon::server
