#include "core/engine/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tenon::engine {

namespace {

// -log softmax(logits)[target], in nats; NaN when a logit is not finite.
double negative_log_likelihood(std::span<const float> logits, int32_t target) {
    bool finite = true;
    for (const float logit : logits)
        finite &= std::isfinite(logit);
    if (!finite) return std::numeric_limits<double>::quiet_NaN();
    const double top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits)
        sum += std::exp(static_cast<double>(logit) - top);
    return top + std::log(sum) - static_cast<double>(logits[static_cast<size_t>(target)]);
}

}  // namespace

Result<Perplexity> score_perplexity(
    ModelRunner& runner, std::span<const int32_t> ids, uint32_t chunk, std::optional<int32_t> bos,
    const std::function<void(const Perplexity&, uint32_t, uint32_t)>& on_chunk) {
    const auto chunks = static_cast<uint32_t>(ids.size() / std::max(chunk, 1u));
    if (chunk < 4 || chunks == 0) {
        return Error{Code::kInvalid,
                     fmt::format("the text has {} tokens; expected at least one chunk "
                                 "of {} (4 or more)",
                                 ids.size(), chunk)};
    }
    const uint32_t first = chunk / 2;
    const uint32_t step =
        std::min(runner.options().step_tokens_max, runner.options().logit_rows_max);
    Perplexity result;
    std::vector<int32_t> tokens(chunk);
    for (uint32_t c = 0; c < chunks; ++c) {
        const auto begin = ids.begin() + static_cast<ptrdiff_t>(size_t{c} * chunk);
        std::copy(begin, begin + chunk, tokens.begin());
        if (bos) tokens[0] = *bos;
        TENON_TRY(Sequence sequence, runner.open());
        for (uint32_t at = 0; at < chunk - 1; at += step) {
            const uint32_t n = std::min(step, chunk - 1 - at);
            const uint32_t scored = at + n <= first ? 0 : std::min(n, at + n - first);
            const StepItem item{&sequence, {tokens.data() + at, n}, std::max(scored, 1u), {}};
            TENON_CHECK(runner.step({&item, 1}));
            const size_t vocab = runner.logits().size() / std::max(scored, 1u);
            for (uint32_t r = 0; r < scored; ++r) {
                const uint32_t position = at + n - scored + r;
                const double nll = negative_log_likelihood(
                    runner.logits().subspan(r * vocab, vocab), tokens[position + 1]);
                if (!std::isfinite(nll)) {
                    return Error{Code::kData,
                                 fmt::format("the logits at token {} of chunk {} are not "
                                             "finite",
                                             position, c)};
                }
                result.nll_sum += nll;
                ++result.tokens;
            }
        }
        result.perplexity = std::exp(result.nll_sum / static_cast<double>(result.tokens));
        if (on_chunk) on_chunk(result, c + 1, chunks);
    }
    return result;
}

}  // namespace tenon::engine
