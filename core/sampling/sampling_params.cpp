#include "core/sampling/sampling_params.h"

#include <fmt/format.h>

namespace tenon::sampling {

namespace {

Error out_of_range(const char* field, double seen, const char* wanted) {
    return {Code::kInvalid, fmt::format("{} is {}; expected {}", field, seen, wanted)};
}

}  // namespace

// Comparisons are written so that NaN fails them.
Status validate(const SamplingParams& p) {
    if (!(p.temperature >= 0 && p.temperature <= 2)) {
        return out_of_range("temperature", p.temperature, "0 to 2 (0 is greedy)");
    }
    if (p.top_k < 0) return out_of_range("top_k", p.top_k, "0 (off) or more");
    if (!(p.top_p > 0 && p.top_p <= 1))
        return out_of_range("top_p", p.top_p, "more than 0, at most 1");
    if (!(p.min_p >= 0 && p.min_p <= 1)) return out_of_range("min_p", p.min_p, "0 to 1");
    if (!(p.repetition_penalty > 0 && p.repetition_penalty <= 10)) {
        return out_of_range("repetition_penalty", p.repetition_penalty, "more than 0, at most 10");
    }
    if (!(p.frequency_penalty >= -2 && p.frequency_penalty <= 2)) {
        return out_of_range("frequency_penalty", p.frequency_penalty, "-2 to 2");
    }
    if (!(p.presence_penalty >= -2 && p.presence_penalty <= 2)) {
        return out_of_range("presence_penalty", p.presence_penalty, "-2 to 2");
    }
    for (const auto& [token, bias] : p.logit_bias) {
        if (token < 0) return out_of_range("a token of logit_bias", token, "0 or more");
        if (!(bias >= -100 && bias <= 100)) {
            return out_of_range("logit_bias", bias, "-100 to 100");
        }
    }
    return {};
}

}  // namespace tenon::sampling
