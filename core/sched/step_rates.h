// What a step costs on this device, learned from the steps that went by.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tenon::sched {

// Work of one step.
struct StepWork {
    uint32_t prefill_tokens = 0;
    uint32_t decode_rows = 0;
    uint64_t context_tokens = 0;  // sum over items of their tokens times the positions at their end
};

// Linear model of a step's time over its work, with a constant: least squares with exponentially
// fading weights, no rate below zero. What the steps leave open is charged to tokens rather than to
// the constant, so that a larger step is not believed to be free. One thread.
class StepRates {
public:
    void observe(const StepWork& work, double step_ms);

    bool has_prefill() const noexcept { return prefill_max_ > 0; }
    // Milliseconds.
    double predict(const StepWork& work) const;
    // Largest number of prefill tokens in 1 .. ceiling with which `rest` [decode rows and their
    // context] is predicted to stay within limit_ms; they go on behind `position` positions. At
    // least `least` (or the ceiling), and in small leaps from what was measured.
    uint32_t largest_prefill(const StepWork& rest, uint64_t position, double limit_ms,
                             uint32_t least, uint32_t ceiling) const;

private:
    static constexpr std::size_t kTerms = 4;  // prefill, decode, context, constant
    using Terms = std::array<double, kTerms>;

    static Terms terms_of(const StepWork& work);
    double ms_of(const Terms& x) const;
    void solve();

    std::array<Terms, kTerms> a_{};  // faded sum of x x'
    Terms b_{};                      // faded sum of x * time
    Terms rate_{};                   // ms for a unit of each term, >= 0
    uint64_t steps_ = 0;
    uint32_t prefill_max_ = 0;
};

}  // namespace tenon::sched
