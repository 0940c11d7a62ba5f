#include "core/sched/step_rates.h"

#include <algorithm>
#include <cmath>

namespace tenon::sched {

namespace {

// Weight of a step that is one step older.
constexpr double kFade = 0.97;
// Pulls each rate to what it was, so that work which does not occur for a while keeps its rate.
constexpr double kInertia = 1e-3;
constexpr int kSweeps = 12;
// Terms in these units are of similar size.
constexpr std::array<double, 4> kUnit = {256, 16, 65'536, 1};
// A step after the first few counts as at most so many times its prediction: one hiccup of the
// machine does not set the rates, a device that really slows down is learned in a few steps.
constexpr double kSurpriseMax = 3;
constexpr uint64_t kStepsTrusted = 8;
// First prefill chunk, and how much larger than the largest measured one a chunk may be.
constexpr uint32_t kFirstChunk = 256;
constexpr uint32_t kLeap = 4;

}  // namespace

StepRates::Terms StepRates::terms_of(const StepWork& work) {
    return {work.prefill_tokens / kUnit[0], work.decode_rows / kUnit[1],
            static_cast<double>(work.context_tokens) / kUnit[2], 1};
}

double StepRates::ms_of(const Terms& x) const {
    double ms = 0;
    for (size_t i = 0; i < kTerms; ++i)
        ms += rate_[i] * x[i];
    return ms;
}

double StepRates::predict(const StepWork& work) const { return ms_of(terms_of(work)); }

void StepRates::observe(const StepWork& work, double step_ms) {
    if (!std::isfinite(step_ms) || step_ms < 0) return;
    if (work.prefill_tokens == 0 && work.decode_rows == 0) return;
    const Terms x = terms_of(work);
    if (steps_ >= kStepsTrusted) step_ms = std::min(step_ms, kSurpriseMax * ms_of(x) + 1);
    for (size_t i = 0; i < kTerms; ++i) {
        for (size_t k = 0; k < kTerms; ++k)
            a_[i][k] = a_[i][k] * kFade + x[i] * x[k];
        b_[i] = b_[i] * kFade + x[i] * step_ms;
    }
    ++steps_;
    prefill_max_ = std::max(prefill_max_, work.prefill_tokens);
    solve();
}

// Coordinate descent from the present rates; the order of the terms is the order in which what is
// not explained yet is charged.
void StepRates::solve() {
    const Terms before = rate_;
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
        for (size_t i = 0; i < kTerms; ++i) {
            double rest = b_[i] + kInertia * before[i];
            for (size_t k = 0; k < kTerms; ++k) {
                if (k != i) rest -= a_[i][k] * rate_[k];
            }
            rate_[i] = std::max(0.0, rest / (a_[i][i] + kInertia));
        }
    }
}

uint32_t StepRates::largest_prefill(const StepWork& rest, uint64_t position, double limit_ms,
                                    uint32_t least, uint32_t ceiling) const {
    const uint64_t leap = std::max<uint64_t>(kFirstChunk, uint64_t{kLeap} * prefill_max_);
    const auto most = static_cast<uint32_t>(std::min<uint64_t>(ceiling, leap));
    least = std::min(least, ceiling);
    const double left_ms = limit_ms - predict(rest);
    if (!has_prefill()) return std::max(least, most);
    if (left_ms <= 0) return least;
    // p tokens cost linear * p + square * p * p.
    const double square = rate_[2] / kUnit[2];
    const double linear = rate_[0] / kUnit[0] + square * static_cast<double>(position);
    const double tokens =
        2 * left_ms / (linear + std::sqrt(linear * linear + 4 * square * left_ms));
    return std::max(least, tokens < most ? static_cast<uint32_t>(tokens) : most);
}

}  // namespace tenon::sched
