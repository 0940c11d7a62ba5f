// A model in this process, behind the engine that `serve` uses: what conversations and smoke tests
// run on. A prompt's prefix that was computed before is not computed again.
#pragma once

#include "core/config/fields.h"
#include "core/engine/engine_client.h"
#include "core/engine/loaded_model.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

struct LocalAnswer {
    std::string text;
    std::vector<engine::OutputToken> tokens;  // with the one that ended it, where there is one
    engine::Finish finish;
};

// One thread; answers one request at a time.
class LocalEngine {
public:
    // Loads, with a bar on a terminal. Room for one sequence of config.context_length tokens, which
    // is that of `run` where nothing names it.
    static Result<LocalEngine> open(const std::string& path, config::EngineConfig config);

    const engine::LoadedModel& model() const noexcept { return *model_; }
    const engine::EngineInfo& info() const noexcept { return *info_; }

    // Blocks until the answer is whole. max_tokens 0 means as many as the context holds. `on_text`
    // gets whole UTF-8 characters as they come, on this thread; `wants_stop` is asked some fifty
    // times a second and ends the answer with what it has (kCancelled). kInvalid: the prompt leaves
    // no room for an answer.
    Result<LocalAnswer> answer(engine::GenerationRequest request,
                               const std::function<void(std::string_view)>& on_text = {},
                               const std::function<bool()>& wants_stop = {});

private:
    std::unique_ptr<engine::LoadedModel> model_;
    std::unique_ptr<engine::EngineClient> client_;
    std::shared_ptr<const engine::EngineInfo> info_;
    engine::GenerationId next_id_ = 1;
};

}  // namespace tenon::cli
