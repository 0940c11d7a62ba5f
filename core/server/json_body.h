// A JSON request body, read once within limits, kept as a flat list of values: 16 bytes a value and
// the text of its strings.
#pragma once

#include "core/config/limits.h"
#include "core/server/api_error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::server {

enum class JsonKind : uint8_t {
    kNull,
    kBool,
    kInt,
    kUint /* above INT64_MAX */,
    kDouble,
    kString,
    kArray,
    kObject,
};

class JsonBody;

// One value of a JsonBody, which outlives it. Each as_ is legal only for its kind.
class JsonView {
public:
    JsonKind kind() const noexcept;
    bool is(JsonKind kind) const noexcept { return this->kind() == kind; }
    bool as_bool() const noexcept;
    int64_t as_int() const noexcept;
    uint64_t as_uint() const noexcept;
    // Of any number; an integer may lose its last digits.
    double as_number() const noexcept;
    bool is_number() const noexcept {
        return is(JsonKind::kInt) || is(JsonKind::kUint) || is(JsonKind::kDouble);
    }
    std::string_view as_string() const noexcept;
    // Items of an array, members of an object; else 0.
    uint32_t size() const noexcept;
    // The member of this name, of an object.
    std::optional<JsonView> find(std::string_view name) const noexcept;

    // Visits items: visit(JsonView). For objects: visit(std::string_view key, JsonView value).
    template <class Visit>
    void for_items(Visit&& visit) const {
        uint32_t at = first();
        for (uint32_t i = 0; i < size(); ++i, at = after(at))
            visit(JsonView(*body_, at));
    }
    template <class Visit>
    void for_members(Visit&& visit) const {
        uint32_t at = first();
        for (uint32_t i = 0; i < size(); ++i, at = after(at + 1))
            visit(JsonView(*body_, at).as_string(), JsonView(*body_, at + 1));
    }
    // What a message calls it: "a string", "-1", "null".
    std::string describe() const;

private:
    friend class JsonBody;
    JsonView(const JsonBody& body, uint32_t at) : body_(&body), at_(at) {}
    uint32_t first() const noexcept { return at_ + 1; }
    uint32_t after(uint32_t at) const noexcept;

    const JsonBody* body_;
    uint32_t at_;
};

// Move-only. The object that a client sent.
class JsonBody {
public:
    // 400 with the offset of the bad byte: no JSON, no object, too deep, too many keys, a key twice,
    // not UTF-8, lone surrogates, numbers beyond a double. NUL bytes in strings are kept.
    static std::optional<ApiError> parse(std::string_view text, const config::Limits& limits,
                                         JsonBody& out);
    JsonView root() const noexcept { return JsonView(*this, 0); }
    size_t memory_bytes() const noexcept {
        return values_.capacity() * sizeof(Value) + strings_.capacity();
    }

    JsonBody() = default;
    JsonBody(JsonBody&&) = default;
    JsonBody& operator=(JsonBody&&) = default;

private:
    friend class JsonView;
    friend class JsonBuilder;

    struct Span {
        uint32_t offset, size;
    };
    struct Value {
        uint32_t end : 28;  // index behind the last value inside this one
        uint32_t kind : 4;
        union {
            int64_t integer;
            uint64_t natural;
            double real;
            Span span;  // of a string: bytes in strings_; of a container: its size
        };
    };

    std::vector<Value> values_;
    std::string strings_;
};

}  // namespace tenon::server
