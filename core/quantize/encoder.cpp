#include "core/quantize/encoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <tenon/reference/dequant.h>

#include "core/quantize/float_store.h"

namespace tenon::quantize {

namespace {

constexpr int kRefits = 1;

// The smallest float above zero that a scale's type holds, for blocks whose numbers are tiny.
float smallest_of(uint32_t dtype) noexcept {
    return dtype == TENON_F16 ? std::ldexp(1.0f, -24) : std::ldexp(1.0f, -126);
}

}  // namespace

Factor::Factor(const tenon_format& format, const CodeArray& codes, bool of_scale) {
    dtype = of_scale ? format.scale_type : format.min_type;
    offset = of_scale ? format.scale_offset : format.min_offset;
    if (of_scale) {
        is_signed = (format.flags & TENON_FORMAT_SCALE_SIGNED) != 0;
        zero = format.scale_zero;
    } else if ((format.flags & TENON_FORMAT_MIN_SUBTRACTED) != 0) {
        sign = -1;
    }
    values = codes.values();
    if (!is_coded()) return;
    for (const uint32_t code : values) {
        lowest = std::min(lowest, multiplier(code));
        highest = std::max(highest, multiplier(code));
    }
}

int32_t Factor::multiplier(uint32_t code) const noexcept {
    return (is_signed ? static_cast<int8_t>(code) : static_cast<int32_t>(code)) - zero;
}

float Factor::decoded(float stored, uint32_t code) const noexcept {
    const float product = is_coded() ? stored * static_cast<float>(multiplier(code)) : stored;
    return sign < 0 ? -product : product;
}

float Factor::super(float peak) const noexcept {
    const bool has_sign = dtype != TENON_E8M0;
    const int32_t widest = -lowest > highest ? lowest : highest;
    if (peak == 0 || widest == 0) return 0;
    const float exact = sign * peak / static_cast<float>(widest);
    const float stored = nearest_scale(dtype, has_sign ? exact : std::fabs(exact));
    return stored != 0 ? stored : std::copysign(smallest_of(dtype), exact);
}

size_t Factor::choices(float stored, float wanted, FactorChoice (&out)[3]) const noexcept {
    if (!is_coded()) {
        const float exact = nearest_scale(dtype, sign * wanted);
        if (dtype != TENON_E8M0) {
            out[0] = {exact, 0, decoded(exact, 0)};
            return 1;
        }
        size_t n = 0;
        for (const float near : {exact, exact / 2, exact * 2})
            if (nearest_scale(dtype, near) == near) out[n++] = {near, 0, decoded(near, 0)};
        return n;
    }
    // Codes ascend with their multipliers but for two's complement, where they turn round once.
    const auto code_of = [&](int32_t number) -> const uint32_t* {
        const uint32_t code = static_cast<uint32_t>(number + zero) & (is_signed ? 0xffu : ~0u);
        const auto at = std::lower_bound(values.begin(), values.end(), code);
        return at != values.end() && *at == code ? &*at : nullptr;
    };
    const float ratio = stored != 0 ? sign * wanted / stored : 0;
    const auto near = static_cast<int32_t>(
        std::lround(std::clamp(ratio, static_cast<float>(lowest), static_cast<float>(highest))));
    size_t n = 0;
    for (const int32_t number : {near, near - 1, near + 1})
        if (const uint32_t* code = code_of(number);
            code != nullptr && number >= lowest && number <= highest)
            out[n++] = {stored, *code, decoded(stored, *code)};
    // Digits that leave holes between their codes: the nearest one there is.
    if (n == 0) {
        uint32_t best = values.front();
        for (const uint32_t code : values)
            if (std::abs(multiplier(code) - near) < std::abs(multiplier(best) - near)) best = code;
        out[n++] = {stored, best, decoded(stored, best)};
    }
    return n;
}

void BlockFactors::resize(uint32_t groups) {
    for (std::vector<float>* list : {&stored_scales, &stored_mins, &scales, &mins})
        list->assign(groups, 0.0f);
    scale_codes.assign(groups, 0);
    min_codes.assign(groups, 0);
}

Result<Encoder> Encoder::create(const tenon_format& format) {
    Encoder encoder;
    encoder.format_ = &format;
    const std::string_view id(format.id.p, format.id.n);
    if (format.cls == TENON_FORMAT_FLOAT) {
        if (const char* problem = reference::format_problem(format))
            return Error{Code::kUnsupported, fmt::format("{} cannot be written: {}", id, problem)};
        return encoder;
    }
    TENON_TRY(encoder.layout_, BlockLayout::create(format));
    encoder.groups_ = format.block_elems / format.group;
    encoder.rule_ = find_rounding_rule(id);
    const bool bytes = format.packing == TENON_PACK_BYTES;
    const int32_t half = 1 << (format.bits - 1);
    const RoundingRule whole{id, Rounding::kSearch, bytes ? -half : 0, bytes ? half - 1 : 0xffff};
    const RoundingRule& rule = encoder.rule_ != nullptr ? *encoder.rule_ : whole;
    encoder.levels_.emplace_back(format, encoder.layout_.codes().values(), rule.code_first,
                                 rule.code_last);
    if (encoder.levels_.front().empty())
        return Error{Code::kUnsupported,
                     fmt::format("{} cannot be written: no code has a finite value", id)};
    encoder.scale_ = Factor(format, encoder.layout_.scales(), true);
    const Factor& scale = encoder.scale_;
    encoder.bounds_.scale_signed =
        scale.is_coded() ? scale.lowest < 0 && scale.highest > 0 : scale.dtype != TENON_E8M0;
    encoder.has_min_ = format.min_type != 0;
    if (encoder.has_min_) {
        encoder.min_ = Factor(format, encoder.layout_.mins(), false);
        const Factor& min = encoder.min_;
        // A coded min has one sign in a block: mins lie below zero where weights lie around it.
        encoder.bounds_.min_sign = min.dtype == TENON_E8M0 ? (min.sign < 0 ? -1 : 1)
                                   : min.is_coded()        ? -1
                                                           : 0;
    }
    return encoder;
}

Status Encoder::encode_row(const float* x, uint64_t cols, std::byte* row, float* decoded,
                           Workspace& space) const {
    if (format_->cls == TENON_FORMAT_FLOAT) return encode_floats(x, cols, row, decoded);
    for (uint64_t done = 0; done < cols; done += format_->block_elems) {
        space.codes.resize(format_->block_elems);
        space.units.resize(format_->block_elems);
        if (rule_ != nullptr)
            round_block(x + done, space);
        else
            search_block(x + done, space);
        store_block(row + done / format_->block_elems * format_->block_bytes, space.factors,
                    space.codes.data());
        for (uint32_t i = 0; i < format_->block_elems; ++i) {
            const uint32_t group = i / format_->group;
            const float value = space.factors.scales[group] * space.units[i];
            decoded[done + i] = has_min_ ? value + space.factors.mins[group] : value;
        }
    }
    return {};
}

Status Encoder::encode_floats(const float* x, uint64_t cols, std::byte* row, float* decoded) const {
    for (uint64_t i = 0; i < cols; ++i) {
        store_float(format_->scale_type, row, i, x[i]);
        decoded[i] =
            reference::load_float(format_->scale_type, reinterpret_cast<const unsigned char*>(row),
                                  static_cast<int64_t>(i));
        if (!std::isfinite(decoded[i]))
            return Error{Code::kInvalid,
                         fmt::format("column {} holds {}; the largest number of {} "
                                     "is {}",
                                     i, x[i], std::string_view(format_->id.p, format_->id.n),
                                     largest_of(format_->scale_type))};
    }
    return {};
}

void Encoder::store_block(std::byte* block, const BlockFactors& factors,
                          const uint32_t* codes) const {
    std::memset(block, 0, format_->block_bytes);
    layout_.store(layout_.codes(), codes, block);
    if (scale_.is_coded()) layout_.store(layout_.scales(), factors.scale_codes.data(), block);
    if (has_min_ && min_.is_coded()) layout_.store(layout_.mins(), factors.min_codes.data(), block);
    layout_.finish(block);
    for (uint32_t g = 0; g < (scale_.is_coded() ? 1 : groups_); ++g)
        store_scale(scale_.dtype, block + scale_.offset, g, factors.stored_scales[g]);
    for (uint32_t g = 0; has_min_ && g < (min_.is_coded() ? 1 : groups_); ++g)
        store_scale(min_.dtype, block + min_.offset, g, factors.stored_mins[g]);
}

void Encoder::round_block(const float* x, Workspace& space) const {
    BlockFactors& factors = space.factors;
    factors.resize(groups_);
    const auto first = static_cast<float>(rule_->code_first - format_->zero_point);
    const auto last = static_cast<float>(rule_->code_last - format_->zero_point);
    const uint32_t n = format_->group;
    for (uint32_t g = 0; g < groups_; ++g, x += n) {
        float low = x[0], high = x[0], peak = 0;
        for (uint32_t i = 0; i < n; ++i) {
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
            if (std::fabs(x[i]) > std::fabs(peak)) peak = x[i];
        }
        float scale = 0, min = 0;
        if (rule_->rounding == Rounding::kSignedPeak) {
            scale = peak / first;
        } else if (rule_->rounding == Rounding::kPeak) {
            scale = std::fabs(peak) / last;
        } else if (rule_->rounding == Rounding::kRange) {
            min = low;
            scale = (high - low) / (last - first);
        } else if (peak != 0) {
            scale = std::ldexp(1.0f, static_cast<int>(std::floor(std::log2(std::fabs(peak)))) -
                                         std::ilogb(levels_.front().highest()));
        }
        factors.stored_scales[g] = factors.scales[g] = nearest_scale(scale_.dtype, scale);
        if (has_min_) factors.stored_mins[g] = factors.mins[g] = nearest_scale(min_.dtype, min);
        if (rule_->rounding == Rounding::kExponent) {
            find_codes(x, g, space);
            continue;
        }
        // Codes come from the scale before it was rounded, as published.
        const float inverse = scale != 0 && std::isfinite(1 / scale) ? 1 / scale : 0;
        for (uint32_t i = 0; i < n; ++i) {
            const float turned = (x[i] - min) * inverse;
            float unit = rule_->rounding == Rounding::kPeak ? std::round(turned)
                         : rule_->rounding == Rounding::kRange
                             ? first + std::floor(turned + 0.5f)
                             : first + std::floor(turned + (0.5f - first));
            unit = std::clamp(unit, first, last);
            space.units[g * n + i] = unit;
            space.codes[g * n + i] =
                static_cast<uint32_t>(static_cast<int32_t>(unit) + format_->zero_point);
        }
    }
}

void Encoder::weigh(const float* x, Workspace& space) const {
    space.weights.resize(format_->block_elems);
    for (uint32_t start = 0; start < format_->block_elems; start += format_->group) {
        const float* in = x + start;
        float* out = space.weights.data() + start;
        double squares = 0;
        for (uint32_t i = 0; i < format_->group; ++i)
            squares += static_cast<double>(in[i]) * in[i];
        const auto rms = static_cast<float>(std::sqrt(squares / format_->group));
        for (uint32_t i = 0; i < format_->group; ++i)
            out[i] = rms + std::fabs(in[i]);
    }
}

void Encoder::search_block(const float* x, Workspace& space) const {
    weigh(x, space);
    const uint32_t n = format_->group;
    space.fits.resize(groups_);
    float scale_peak = 0, min_peak = 0;
    for (uint32_t g = 0; g < groups_; ++g) {
        const float* weights = space.weights.data() + g * n;
        space.fits[g] = has_min_
                            ? fit_scale_and_min(levels_.front(), x + g * n, weights, n, bounds_)
                            : fit_scale(levels_.front(), x + g * n, weights, n, bounds_);
        if (std::fabs(space.fits[g].scale) > std::fabs(scale_peak))
            scale_peak = space.fits[g].scale;
        if (std::fabs(space.fits[g].min) > std::fabs(min_peak)) min_peak = space.fits[g].min;
    }
    BlockFactors& factors = space.factors;
    factors.resize(groups_);
    if (scale_.is_coded()) factors.stored_scales[0] = scale_.super(scale_peak);
    if (has_min_ && min_.is_coded()) factors.stored_mins[0] = min_.super(min_peak);
    double error = settle(x, space, factors);
    if (scale_.is_coded() && (!has_min_ || min_.is_coded())) {
        for (int round = 0; round < kRefits; ++round) {
            space.other = factors;
            refit(x, space, space.other);
            const double new_error = settle(x, space, space.other);
            if (!(new_error < error)) break;
            error = new_error;
            std::swap(space.factors, space.other);
        }
    }
    for (uint32_t g = 0; g < groups_; ++g)
        find_codes(x + g * n, g, space);
}

double Encoder::settle(const float* x, const Workspace& space, BlockFactors& factors) const {
    const uint32_t n = format_->group;
    double total = 0;
    for (uint32_t g = 0; g < groups_; ++g) {
        const float* in = x + g * n;
        const float* weights = space.weights.data() + g * n;
        const auto miss = [&](const FactorChoice& scale, const FactorChoice& min) {
            return levels_.front().error(in, weights, n, scale.value, min.value);
        };
        FactorChoice scales[3], mins[3] = {};
        const size_t n_scales =
            scale_.choices(factors.stored_scales[0], space.fits[g].scale, scales);
        const size_t n_mins =
            has_min_ ? min_.choices(factors.stored_mins[0], space.fits[g].min, mins) : 1;
        FactorChoice scale = scales[0], min = mins[0];
        double error = miss(scale, min);
        for (size_t s = 1; s < n_scales; ++s)
            if (const double other = miss(scales[s], min); other < error) {
                error = other;
                scale = scales[s];
            }
        for (size_t m = 1; m < n_mins; ++m)
            if (const double other = miss(scale, mins[m]); other < error) {
                error = other;
                min = mins[m];
            }
        total += error;
        factors.scale_codes[g] = scale.code;
        factors.scales[g] = scale.value;
        factors.min_codes[g] = min.code;
        factors.mins[g] = min.value;
        if (!scale_.is_coded()) factors.stored_scales[g] = scale.stored;
        if (has_min_ && !min_.is_coded()) factors.stored_mins[g] = min.stored;
    }
    return total;
}

void Encoder::refit(const float* x, Workspace& space, BlockFactors& factors) const {
    // Least squares of x against a = multiplier * unit and b = the min's multiplier.
    double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
    const uint32_t n = format_->group;
    for (uint32_t g = 0; g < groups_; ++g) {
        const float* in = x + g * n;
        const float* weights = space.weights.data() + g * n;
        const float scale = factors.scales[g];
        const float inverse = scale != 0 ? 1 / scale : 0;
        const LevelSums sums =
            levels_.front().sums(in, weights, n, inverse, -factors.mins[g] * inverse);
        const double a = scale_.multiplier(factors.scale_codes[g]);
        aa += a * a * sums.uu;
        ax += a * sums.xu;
        if (!has_min_) continue;
        const double b = min_.sign * min_.multiplier(factors.min_codes[g]);
        double w = 0, wx = 0;
        for (uint32_t i = 0; i < n; ++i) {
            w += weights[i];
            wx += static_cast<double>(weights[i]) * in[i];
        }
        ab += a * b * sums.u;
        bb += b * b * w;
        bx += b * wx;
    }
    const double determinant = aa * bb - ab * ab;
    double scale = aa > 0 ? ax / aa : 0, min = 0;
    if (has_min_ && determinant > 0) {
        scale = (ax * bb - bx * ab) / determinant;
        min = (aa * bx - ab * ax) / determinant;
    }
    const auto take = [](const Factor& factor, double wanted, float& stored) {
        // E8M0 has no sign; a super scale that turned round would turn every group round.
        const auto value = nearest_scale(factor.dtype, static_cast<float>(wanted));
        if (value * stored > 0) stored = value;
    };
    take(scale_, scale, factors.stored_scales[0]);
    if (has_min_) take(min_, min, factors.stored_mins[0]);
}

void Encoder::find_codes(const float* x, uint32_t group, Workspace& space) const {
    const Levels& levels = levels_.front();
    const float scale = space.factors.scales[group];
    const float min = has_min_ ? space.factors.mins[group] : 0;
    const float inverse = scale != 0 ? 1 / scale : 0;
    const uint32_t start = group * format_->group;
    for (uint32_t i = 0; i < format_->group; ++i) {
        const uint32_t level = levels.nearest(x[i] * inverse + -min * inverse);
        space.units[start + i] = levels.unit(level);
        space.codes[start + i] = levels.code(level);
    }
}

}  // namespace tenon::quantize
