#include "core/server/field_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tenon::server {

std::string FieldReader::path_of(std::string_view name) const {
    return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

void FieldReader::refuse(ApiError error) {
    if (!error_) error_ = std::move(error);
}

void FieldReader::refuse(std::string_view name, std::string message) {
    refuse(bad_field(path_of(name), std::move(message)));
}

std::optional<JsonView> FieldReader::find(std::string_view name) {
    known_.push_back(name);
    const std::optional<JsonView> value = object_.find(name);
    if (!value || value->is(JsonKind::kNull)) return std::nullopt;
    return value;
}

std::optional<int64_t> FieldReader::integer(std::string_view name, int64_t min, int64_t max) {
    const auto value = find(name);
    if (!value) return std::nullopt;
    if (!value->is(JsonKind::kInt) || value->as_int() < min || value->as_int() > max) {
        refuse(name, fmt::format("'{}' is {}; an integer from {} to {} is expected.", path_of(name),
                                 value->describe(), min, max));
        return std::nullopt;
    }
    return value->as_int();
}

std::optional<double> FieldReader::number(std::string_view name, double min, double max,
                                          bool above_min) {
    const auto value = find(name);
    if (!value) return std::nullopt;
    const bool fits = value->is_number() && value->as_number() <= max &&
                      (above_min ? value->as_number() > min : value->as_number() >= min);
    if (!fits) {
        refuse(name, fmt::format("'{}' is {}; a number {} {} {} {} is expected.", path_of(name),
                                 value->describe(), above_min ? "above" : "from", min,
                                 above_min ? "and at most" : "to", max));
        return std::nullopt;
    }
    return value->as_number();
}

std::optional<bool> FieldReader::flag(std::string_view name) {
    const auto value = find(name);
    if (!value) return std::nullopt;
    if (!value->is(JsonKind::kBool)) {
        refuse(name, fmt::format("'{}' is {}; true or false is expected.", path_of(name),
                                 value->describe()));
        return std::nullopt;
    }
    return value->as_bool();
}

std::optional<std::string_view> FieldReader::text(std::string_view name, size_t bytes_max) {
    const auto value = find(name);
    if (!value) return std::nullopt;
    if (!value->is(JsonKind::kString)) {
        refuse(name,
               fmt::format("'{}' is {}; a string is expected.", path_of(name), value->describe()));
        return std::nullopt;
    }
    if (value->as_string().size() > bytes_max) {
        refuse(name, fmt::format("'{}' has {} bytes; at most {} are taken.", path_of(name),
                                 value->as_string().size(), bytes_max));
        return std::nullopt;
    }
    return value->as_string();
}

std::optional<JsonView> FieldReader::array(std::string_view name, size_t min, size_t max) {
    const auto value = find(name);
    if (!value) return std::nullopt;
    if (!value->is(JsonKind::kArray)) {
        refuse(name,
               fmt::format("'{}' is {}; an array is expected.", path_of(name), value->describe()));
        return std::nullopt;
    }
    if (value->size() < min || value->size() > max) {
        refuse(name, fmt::format("'{}' has {} items; {} to {} are taken.", path_of(name),
                                 value->size(), min, max));
        return std::nullopt;
    }
    return value;
}

std::optional<JsonView> FieldReader::object(std::string_view name) {
    const auto value = find(name);
    if (!value) return std::nullopt;
    if (!value->is(JsonKind::kObject)) {
        refuse(name,
               fmt::format("'{}' is {}; an object is expected.", path_of(name), value->describe()));
        return std::nullopt;
    }
    return value;
}

std::vector<int32_t> FieldReader::token_ids(std::string_view name, JsonView array,
                                            uint32_t vocab_size) {
    std::vector<int32_t> ids;
    ids.reserve(array.size());
    array.for_items([&](JsonView item) {
        if (failed()) return;
        if (!item.is(JsonKind::kInt) || item.as_int() < 0 || item.as_int() >= vocab_size) {
            return refuse(name,
                          fmt::format("'{}' has {} at index {}; token ids from 0 to {} are "
                                      "expected.",
                                      path_of(name), item.describe(), ids.size(), vocab_size - 1));
        }
        ids.push_back(static_cast<int32_t>(item.as_int()));
    });
    return ids;
}

void FieldReader::ignore(std::initializer_list<std::string_view> names) {
    known_.insert(known_.end(), names);
}

std::optional<ApiError> FieldReader::finish(bool strict) {
    if (error_ || !strict) return error_;
    object_.for_members([&](std::string_view key, JsonView) {
        if (std::find(known_.begin(), known_.end(), key) != known_.end()) return;
        ApiError error = bad_field(path_of(key.substr(0, 64)), "This server knows no such field.");
        error.code = "unknown_field";
        refuse(std::move(error));
    });
    return error_;
}

}  // namespace tenon::server
