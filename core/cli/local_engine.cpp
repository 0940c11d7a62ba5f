#include "core/cli/local_engine.h"

#include "core/cli/progress.h"
#include "core/cli/session.h"
#include "core/engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace tenon::cli {

namespace {

constexpr std::chrono::milliseconds kLook{20};  // between two looks at wants_stop

// Hands deltas from the engine's thread to the one that waits.
class Mailbox final : public engine::OutputSink {
public:
    void on_delta(engine::OutputDelta&& delta) override {
        const std::lock_guard lock(mutex_);
        deltas_.push_back(std::move(delta));
        came_.notify_one();
    }
    bool on_engine_lost() override { return false; }

    // Empty when nothing came in time.
    std::deque<engine::OutputDelta> take() {
        std::unique_lock lock(mutex_);
        came_.wait_for(lock, kLook, [&] { return !deltas_.empty(); });
        return std::exchange(deltas_, {});
    }

private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::deque<engine::OutputDelta> deltas_;
};

}  // namespace

Result<LocalEngine> LocalEngine::open(const std::string& path, config::EngineConfig config) {
    LocalEngine local;
    TENON_TRY(engine::LoadedModel model, engine::LoadedModel::open(path, config));
    const uint32_t trained = model.model->config().context_length;
    local.model_ = std::make_unique<engine::LoadedModel>(std::move(model));
    if (config.context_length == 0) {
        config.context_length = trained == 0 ? kContextTokens : std::min(trained, kContextTokens);
    }
    if (config.max_running_requests == 0) config.max_running_requests = 1;
    if (config.max_total_tokens == 0 && config.mem_fraction_static == 0) {
        config.max_total_tokens = config.context_length;
    }
    Progress progress("loading");
    engine::EngineStart start;
    start.model = path;
    start.config = std::move(config);
    start.on_load = [&](uint64_t done, uint64_t total) { progress.show(done, total); };
    TENON_TRY(local.client_, engine::start_engine(std::move(start)));
    local.info_ = local.client_->info();
    return local;
}

Result<LocalAnswer> LocalEngine::answer(engine::GenerationRequest request,
                                        const std::function<void(std::string_view)>& on_text,
                                        const std::function<bool()>& wants_stop) {
    const uint64_t room = info_->context_length;
    if (request.prompt.size() >= room) {
        return Error{Code::kInvalid,
                     fmt::format("the prompt has {} tokens, the context holds {} with its answer; "
                                 "--ctx gives it more",
                                 request.prompt.size(), room)};
    }
    const auto left = static_cast<uint32_t>(room - request.prompt.size());
    request.max_tokens = request.max_tokens == 0 ? left : std::min(request.max_tokens, left);
    request.id = next_id_++;
    const engine::GenerationId id = request.id;
    const auto mailbox = std::make_shared<Mailbox>();
    client_->submit(std::move(request), mailbox);
    LocalAnswer answer;
    bool is_cancelled = false;
    while (true) {
        for (engine::OutputDelta& delta : mailbox->take()) {
            answer.text += delta.text;
            std::move(delta.tokens.begin(), delta.tokens.end(), std::back_inserter(answer.tokens));
            if (on_text && !delta.text.empty()) on_text(delta.text);
            if (!delta.finish) continue;
            if (delta.finish->error) return *delta.finish->error;
            answer.finish = std::move(*delta.finish);
            return answer;
        }
        if (!is_cancelled && wants_stop && wants_stop()) {
            client_->cancel(id);
            is_cancelled = true;
        }
    }
}

}  // namespace tenon::cli
