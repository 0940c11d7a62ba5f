#include "core/engine/generator.h"

#include "core/engine/stop_matcher.h"
#include "core/tokenizer/detokenizer.h"

#include <fmt/format.h>

#include <chrono>

namespace tenon::engine {

namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

const char* name_of(FinishReason reason) noexcept {
    switch (reason) {
        case FinishReason::kStop: return "stop";
        case FinishReason::kLength: return "length";
        case FinishReason::kCancelled: return "cancelled";
        case FinishReason::kError: return "error";
    }
    return "";
}

Result<Generated> generate(ModelRunner& runner, const tokenizer::Tokenizer& tokenizer,
                           const GenerateRequest& request,
                           const std::function<void(std::string_view)>& on_text) {
    const uint32_t context = runner.options().context_length;
    if (request.prompt.empty()) {
        return Error{Code::kInvalid, "the prompt has no tokens; expected at least 1"};
    }
    if (request.prompt.size() >= context) {
        return Error{Code::kInvalid,
                     fmt::format("the prompt has {} tokens; a context of {} leaves no "
                                 "room for an answer",
                                 request.prompt.size(), context)};
    }
    TENON_CHECK(sampling::validate(request.sampling));
    const size_t room = context - request.prompt.size();
    const size_t wanted =
        request.max_tokens == 0 ? room : std::min<size_t>(request.max_tokens, room);

    Generated out;
    tokenizer::StreamingDetokenizer detokenizer(tokenizer, {.skip_special = true});
    StopMatcher matcher(request.stop);
    const auto emit = [&](const std::string& text) {
        if (text.empty()) return;
        out.text += text;
        if (on_text) on_text(text);
    };
    const auto is_cancelled = [&](const Status& status) {
        return !status.ok() && status.error().code == Code::kCancelled;
    };

    TENON_TRY(Sequence sequence, runner.open());
    const Clock::time_point start = Clock::now();
    Status status = runner.prefill(sequence, request.prompt, request.sampling);
    out.prompt_ms = ms_since(start);
    const Clock::time_point first = Clock::now();
    bool stopped = false;
    while (status.ok()) {
        const int32_t token = runner.sampled()[0];
        if (token < 0) {
            return Error{Code::kData,
                         "a logit is not finite: the weights or what they compute "
                         "holds NaN or infinity"};
        }
        if (tokenizer.is_eog(token)) {
            out.finish = FinishReason::kStop;
            break;
        }
        out.tokens.push_back(token);
        std::string piece, certain;
        TENON_CHECK(detokenizer.push(token, piece));
        stopped = matcher.push(piece, certain);
        emit(certain);
        if (stopped) {
            out.finish = FinishReason::kStop;
            break;
        }
        if (out.tokens.size() == wanted) break;
        const StepItem item{&sequence, {&token, 1}, 1, &request.sampling};
        status = runner.step({&item, 1});
    }
    if (is_cancelled(status))
        out.finish = FinishReason::kCancelled;
    else if (!status.ok())
        return std::move(status).error();
    if (!stopped) {
        std::string rest, certain;
        detokenizer.flush(rest);
        if (!matcher.push(rest, certain)) matcher.flush(certain);
        emit(certain);
    }
    out.decode_ms = ms_since(first);
    return out;
}

}  // namespace tenon::engine
