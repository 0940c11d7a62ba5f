// Reads the fields of one JSON object: each call names a field, its kind and its range. The first
// mistake is kept; a field that is absent, null or wrong reads as nothing.
#pragma once

#include "core/server/json_body.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::server {

class FieldReader {
public:
    // `path`: of the object, such as "messages.3"; empty for the body. `names` passed to the members
    // outlive the reader (literals).
    explicit FieldReader(JsonView object, std::string path = "")
        : object_(object), path_(std::move(path)) {}

    // The value, if it is there and not null.
    std::optional<JsonView> find(std::string_view name);
    bool has(std::string_view name) { return find(name).has_value(); }

    std::optional<int64_t> integer(std::string_view name, int64_t min, int64_t max);
    // `min` itself is outside when `above_min`.
    std::optional<double> number(std::string_view name, double min, double max,
                                 bool above_min = false);
    std::optional<bool> flag(std::string_view name);
    std::optional<std::string_view> text(std::string_view name, size_t bytes_max);
    std::optional<JsonView> array(std::string_view name, size_t min, size_t max);
    std::optional<JsonView> object(std::string_view name);
    // Token ids within [0, vocab_size).
    std::vector<int32_t> token_ids(std::string_view name, JsonView array, uint32_t vocab_size);

    // Fields that are legal and change nothing.
    void ignore(std::initializer_list<std::string_view> names);
    void refuse(ApiError error);
    void refuse(std::string_view name, std::string message);
    // "messages.3.role" of "role".
    std::string path_of(std::string_view name) const;
    bool failed() const noexcept { return error_.has_value(); }

    // The first mistake; else, when `strict`, the first field that no call named.
    std::optional<ApiError> finish(bool strict);

private:
    JsonView object_;
    std::string path_;
    std::vector<std::string_view> known_;
    std::optional<ApiError> error_;
};

}  // namespace tenon::server
