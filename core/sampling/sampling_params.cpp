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
    return {};
}

}  // namespace tenon::sampling
