#include "core/model/metadata.h"

#include <tenon/reference/dequant.h>

#include <fmt/format.h>

#include <cmath>

namespace tenon::model {

bool Metadata::has(std::string_view name) const { return file_.find(key(name)) != nullptr; }

Result<uint32_t> Metadata::count(std::string_view name, uint32_t max) const {
    TENON_TRY(const uint32_t value, file_.get_u32(key(name)));
    if (value < 1 || value > max) {
        return Error{Code::kData, fmt::format("{} is {}; expected 1 to {}", key(name), value, max)};
    }
    return value;
}

Result<uint32_t> Metadata::count_or(std::string_view name, uint32_t max, uint32_t fallback) const {
    if (!has(name)) return fallback;
    return count(name, max);
}

Result<uint32_t> Metadata::count_or_none(std::string_view name, uint32_t max) const {
    TENON_TRY(const uint32_t value, file_.get_u32_or(key(name), 0));
    if (value > max) {
        return Error{Code::kData, fmt::format("{} is {}; expected 0 to {}", key(name), value, max)};
    }
    return value;
}

Result<float> Metadata::positive_or(std::string_view name, float fallback) const {
    if (!has(name)) return fallback;
    return positive(name);
}

Result<float> Metadata::positive_or_none(std::string_view name, float fallback) const {
    TENON_TRY(const float value, file_.get_f32_or(key(name), 0));
    return value == 0 ? Result<float>(fallback) : positive(name);
}

Result<float> Metadata::positive(std::string_view name) const {
    TENON_TRY(const float value, file_.get_f32(key(name)));
    if (!(std::isfinite(value) && value > 0)) {
        return Error{Code::kData,
                     fmt::format("{} is {}; expected a finite number above 0", key(name), value)};
    }
    return value;
}

Result<std::string> Metadata::text_or_empty(std::string_view name) const {
    TENON_TRY(const std::string_view text, file_.get_string_or(key(name), ""));
    return std::string(text);
}

Result<std::vector<bool>> Metadata::layers(std::string_view name, uint32_t n,
                                           uint32_t fallback) const {
    std::vector<bool> all(n);
    const formats::GgufValue* value = file_.find(key(name));
    if (value != nullptr && value->type == formats::GgufType::kArray) {
        if (value->element != formats::GgufType::kBool || value->count != n) {
            return Error{Code::kData,
                         fmt::format("{} is an array of {} x {}; expected bool for each of {} "
                                     "layers",
                                     key(name), value->count, name_of(value->element), n)};
        }
        for (uint32_t i = 0; i < n; ++i)
            all[i] = value->bytes[i] != std::byte{0};
        return all;
    }
    TENON_TRY(const uint32_t period, count_or(name, 1024, fallback));
    for (uint32_t i = 0; i < n; ++i)
        all[i] = (i + 1) % period != 0;
    return all;
}

Result<tenon_pool_kind> Metadata::pooling() const {
    TENON_TRY(const uint32_t stored, file_.get_u32_or(key("pooling_type"), 0));
    switch (stored) {
        case 0:
        case 3: return TENON_POOL_LAST;
        case 1: return TENON_POOL_MEAN;
        case 2: return TENON_POOL_FIRST;
        default:
            return Error{Code::kUnsupported,
                         fmt::format("{} is {}; known are 1 (mean), 2 (first) and 3 (last)",
                                     key("pooling_type"), stored)};
    }
}

bool Metadata::has_tensor(const std::string& name) const {
    return file_.find_tensor(name) != nullptr;
}

Result<WeightSpec> Metadata::weight(const std::string& name, int64_t rows, int64_t cols,
                                    uint32_t uses, uint32_t fuse_group) const {
    TENON_TRY(const formats::GgufTensor* tensor, file_.get_tensor(name));
    if (tensor->format == nullptr) {
        return Error{Code::kUnsupported,
                     fmt::format("tensor {} is of a type that is not known", name)};
    }
    if (tensor->cols() != static_cast<uint64_t>(cols) ||
        tensor->rows() != static_cast<uint64_t>(rows)) {
        return Error{Code::kData, fmt::format("tensor {} has {} rows of {} columns; this model "
                                              "needs {} rows of {}",
                                              name, tensor->rows(), tensor->cols(), rows, cols)};
    }
    WeightSpec spec;
    spec.name = name;
    spec.uses = uses;
    spec.fuse_group = fuse_group;
    spec.rows = rows;
    spec.cols = cols;
    spec.stored = tensor;
    return spec;
}

Result<std::vector<float>> Metadata::floats(const std::string& name, uint32_t n) const {
    TENON_TRY(const WeightSpec spec, weight(name, 1, n, TENON_USE_ELEMENTWISE));
    std::vector<float> values(n);
    reference::dequant_row(spec.stored->format->format, spec.stored->bytes.data(), spec.cols,
                           values.data());
    return values;
}

}  // namespace tenon::model
