#include "core/quantize/rounding_rule.h"

namespace tenon::quantize {

namespace {

// As the files of llama-quantize have them. Q8_0 and Q8_K leave out -128; the ternary ones the code
// that two bits have to spare.
constexpr RoundingRule kRules[] = {
    {"gguf.q4_0/0", Rounding::kSignedPeak, 0, 15}, {"gguf.q4_1/0", Rounding::kRange, 0, 15},
    {"gguf.q5_0/0", Rounding::kSignedPeak, 0, 31}, {"gguf.q5_1/0", Rounding::kRange, 0, 31},
    {"gguf.q8_0/0", Rounding::kPeak, -127, 127},   {"gguf.q8_k/0", Rounding::kPeak, -127, 127},
    {"gguf.tq1_0/0", Rounding::kPeak, 0, 2},       {"gguf.tq2_0/0", Rounding::kPeak, 0, 2},
    {"gguf.mxfp4/0", Rounding::kExponent, 0, 15},
};

}  // namespace

const RoundingRule* find_rounding_rule(std::string_view format_id) noexcept {
    for (const RoundingRule& rule : kRules)
        if (rule.id == format_id) return &rule;
    return nullptr;
}

}  // namespace tenon::quantize
