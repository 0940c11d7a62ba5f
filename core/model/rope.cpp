#include "core/model/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tenon::model {
namespace {

constexpr uint32_t kContextMax = 1u << 24;
constexpr const char* kFactors = "rope_freqs.weight";
constexpr const char* kShort = "rope_factors_short.weight";
constexpr const char* kLong = "rope_factors_long.weight";

double frequency(float base, uint32_t dims, size_t pair) {
    return std::pow(double{base}, -2.0 * static_cast<double>(pair) / dims);
}

// Pair of dimensions that turns `turns` times in `context` positions, as a real number.
double pair_of(double turns, float base, uint32_t dims, uint32_t context) {
    return dims * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(double{base}));
}

Status read_yarn(const Metadata& metadata, float base, Rope& rope) {
    Yarn yarn;
    TENON_TRY(yarn.factor, metadata.positive("rope.scaling.factor"));
    TENON_TRY(yarn.original_context,
              metadata.count("rope.scaling.original_context_length", kContextMax));
    TENON_TRY(yarn.beta_fast, metadata.positive_or("rope.scaling.yarn_beta_fast", yarn.beta_fast));
    TENON_TRY(yarn.beta_slow, metadata.positive_or("rope.scaling.yarn_beta_slow", yarn.beta_slow));
    TENON_TRY(const float blend, metadata.positive_or("rope.scaling.yarn_ext_factor", 1.0f));
    if (blend != 1.0f) {
        return Error{Code::kUnsupported,
                     fmt::format("{} is {}; known is 1",
                                 metadata.key("rope.scaling.yarn_ext_factor"), blend)};
    }
    if (base <= 1) {
        return Error{Code::kData, fmt::format("{} is {}; YaRN needs more than 1",
                                              metadata.key("rope.freq_base"), base)};
    }
    float mscale = yarn_mscale(yarn.factor, 1);
    if (metadata.has("rope.scaling.yarn_log_multiplier")) {
        TENON_TRY(const float all, metadata.positive("rope.scaling.yarn_log_multiplier"));
        mscale /= yarn_mscale(yarn.factor, all);
    }
    TENON_TRY(mscale, metadata.positive_or("rope.scaling.yarn_attn_factor", mscale));
    rope.mscale *= mscale;
    rope.original_context = yarn.original_context;
    rope.inv_freq = yarn_frequencies(base, rope.dims, yarn);
    return {};
}

Status read_long(const Metadata& metadata, float base, uint32_t context, Rope& rope) {
    TENON_TRY(rope.original_context,
              metadata.count_or("rope.scaling.original_context_length", kContextMax, context));
    const auto table = [&](const char* source) -> Result<std::vector<float>> {
        TENON_TRY(const std::vector<float> factors, metadata.floats(source, rope.dims / 2));
        return inverse_frequencies(base, rope.dims, 1, factors, source);
    };
    TENON_TRY(rope.inv_freq, table(kShort));
    TENON_TRY(rope.inv_freq_long, table(kLong));
    return {};
}

}  // namespace

Result<std::vector<float>> inverse_frequencies(float base, uint32_t dims, float linear_factor,
                                               std::span<const float> factors,
                                               std::string_view source) {
    const size_t n = dims / 2;
    if (!factors.empty() && factors.size() != n) {
        return Error{Code::kData,
                     fmt::format("{} has {} factors; a rotation of {} dimensions needs {}", source,
                                 factors.size(), dims, n)};
    }
    std::vector<float> table(n);
    for (size_t i = 0; i < n; ++i) {
        const float factor = factors.empty() ? 1.0f : factors[i];
        if (!(std::isfinite(factor) && factor > 0)) {
            return Error{Code::kData, fmt::format("{}[{}] is {}; expected a finite number above 0",
                                                  source, i, factor)};
        }
        table[i] = static_cast<float>(frequency(base, dims, i) / linear_factor / factor);
    }
    return table;
}

std::vector<float> yarn_frequencies(float base, uint32_t dims, const Yarn& yarn) {
    const double first = std::floor(pair_of(yarn.beta_fast, base, dims, yarn.original_context));
    const double last = std::ceil(pair_of(yarn.beta_slow, base, dims, yarn.original_context));
    const double low = std::max(first, 0.0);
    const double high = std::min(last, dims - 1.0);
    std::vector<float> table(dims / 2);
    for (size_t i = 0; i < table.size(); ++i) {
        // 0.001: no division by zero where both ends meet, as the paper's code has it.
        const double ramp = (static_cast<double>(i) - low) / std::max(high - low, 0.001);
        const double stretched = std::clamp(ramp, 0.0, 1.0);
        const double plain = frequency(base, dims, i);
        table[i] = static_cast<float>(plain * (1 - stretched) + plain / yarn.factor * stretched);
    }
    return table;
}

float yarn_mscale(float factor, float weight) {
    return factor <= 1 ? 1.0f : 0.1f * weight * std::log(factor) + 1.0f;
}

Result<Rope> read_rope(const Metadata& metadata, uint32_t dim_k, uint32_t context) {
    Rope rope;
    TENON_TRY(rope.dims, metadata.count_or("rope.dimension_count", dim_k, dim_k));
    if (rope.dims % 2 != 0) {
        return Error{Code::kData, fmt::format("{} is {}; expected an even number",
                                              metadata.key("rope.dimension_count"), rope.dims)};
    }
    TENON_TRY(const float base, metadata.positive_or("rope.freq_base", 10000.0f));
    TENON_TRY(rope.mscale, metadata.positive_or("rope.scaling.attn_factor", 1.0f));
    TENON_TRY(const std::string scaling, metadata.text_or_empty("rope.scaling.type"));
    const bool own_table = scaling == "yarn" || scaling == "longrope";
    if (own_table && metadata.has_tensor(kFactors)) {
        return Error{Code::kData,
                     fmt::format("{} is '{}', but the file also has the factors {}",
                                 metadata.key("rope.scaling.type"), scaling, kFactors)};
    }
    const bool factors_stored = metadata.has_tensor(kShort) || metadata.has_tensor(kLong);
    if (scaling == "longrope" || (scaling.empty() && factors_stored)) {
        TENON_CHECK(read_long(metadata, base, context, rope));
        return rope;
    }
    if (factors_stored) {
        return Error{Code::kData,
                     fmt::format("{} is '{}', but the file has tensors of longrope "
                                 "({} or {})",
                                 metadata.key("rope.scaling.type"), scaling, kShort, kLong)};
    }
    if (scaling == "yarn") {
        TENON_CHECK(read_yarn(metadata, base, rope));
        return rope;
    }
    float linear = 1;
    if (scaling == "linear" || scaling.empty()) {
        TENON_TRY(linear, metadata.positive_or_none("rope.scale_linear", 1));  // its old name
        TENON_TRY(linear, metadata.positive_or_none("rope.scaling.factor", linear));
    } else if (scaling != "none") {
        return Error{Code::kUnsupported,
                     fmt::format("{} is '{}'; known are none, linear, yarn and longrope",
                                 metadata.key("rope.scaling.type"), scaling)};
    }
    std::vector<float> factors;
    if (metadata.has_tensor(kFactors)) {
        TENON_TRY(factors, metadata.floats(kFactors, rope.dims / 2));
    }
    TENON_TRY(rope.inv_freq, inverse_frequencies(base, rope.dims, linear, factors, kFactors));
    return rope;
}

}  // namespace tenon::model
