#include "core/formats/gguf.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

namespace tenon::formats {
namespace {

struct TypeInfo {
    std::string_view name;
    uint32_t bytes;
};
constexpr TypeInfo kTypes[] = {
    {"u8", 1},   {"i8", 1},     {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
    {"bool", 1}, {"string", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8},
};

template <class T>
T load(const std::byte* at) noexcept {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

std::string type_text(const GgufValue& value) {
    if (value.type != GgufType::kArray) return std::string(name_of(value.type));
    return fmt::format("array of {}", name_of(value.element));
}

// "a u32", "an i32", "an array of string": as the names are spoken.
std::string with_article(std::string_view type) {
    return fmt::format("{} {}", std::string_view("aif").find(type[0]) != type.npos ? "an" : "a",
                       type);
}

Error absent(std::string_view key, std::string_view wanted) {
    return {Code::kInvalid,
            fmt::format("key {} is missing; {} is wanted", printable(key), with_article(wanted))};
}

Error wrong_type(std::string_view key, std::string_view wanted, const GgufValue& seen) {
    return {Code::kInvalid, fmt::format("key {} is {}; {} is wanted", printable(key),
                                        with_article(type_text(seen)), with_article(wanted))};
}

template <class T>
constexpr GgufType type_of() {
    if constexpr (std::is_same_v<T, int32_t>)
        return GgufType::kI32;
    else if constexpr (std::is_same_v<T, uint32_t>)
        return GgufType::kU32;
    else
        return GgufType::kF32;
}

std::string describe_scalar(GgufType type, const std::byte* at) {
    switch (type) {
        case GgufType::kU8: return fmt::format("{}", load<uint8_t>(at));
        case GgufType::kI8: return fmt::format("{}", load<int8_t>(at));
        case GgufType::kU16: return fmt::format("{}", load<uint16_t>(at));
        case GgufType::kI16: return fmt::format("{}", load<int16_t>(at));
        case GgufType::kU32: return fmt::format("{}", load<uint32_t>(at));
        case GgufType::kI32: return fmt::format("{}", load<int32_t>(at));
        case GgufType::kF32: return fmt::format("{}", load<float>(at));
        case GgufType::kBool: return load<uint8_t>(at) != 0 ? "true" : "false";
        case GgufType::kU64: return fmt::format("{}", load<uint64_t>(at));
        case GgufType::kI64: return fmt::format("{}", load<int64_t>(at));
        case GgufType::kF64: return fmt::format("{}", load<double>(at));
        case GgufType::kString:
        case GgufType::kArray: break;
    }
    return {};
}

}  // namespace

std::string_view name_of(GgufType type) noexcept {
    return kTypes[static_cast<uint32_t>(type)].name;
}
uint32_t bytes_of(GgufType type) noexcept { return kTypes[static_cast<uint32_t>(type)].bytes; }

std::string describe(const GgufValue& value, size_t length_max) {
    if (value.type == GgufType::kString)
        return fmt::format("\"{}\"", printable(as_text(value.bytes), length_max));
    if (value.type != GgufType::kArray) return describe_scalar(value.type, value.bytes.data());

    std::string out = fmt::format("[{} x {}]", value.count, name_of(value.element));
    uint64_t shown = 0;
    const auto add = [&](const std::string& item) {
        if (out.size() + item.size() > length_max) return false;
        out += shown++ == 0 ? " " : ", ";
        out += item;
        return true;
    };
    if (value.element == GgufType::kString) {
        for (const std::string_view text : GgufStrings(value))
            if (!add(fmt::format("\"{}\"", printable(text, length_max)))) break;
    } else {
        const uint32_t bytes = bytes_of(value.element);
        while (shown < value.count &&
               add(describe_scalar(value.element, value.bytes.data() + shown * bytes))) {
        }
    }
    if (shown < value.count) out += shown == 0 ? " ..." : ", ...";
    return out;
}

const GgufValue* GgufFile::find(std::string_view key) const noexcept {
    const auto at = std::lower_bound(
        pairs_by_key_.begin(), pairs_by_key_.end(), key,
        [&](uint32_t index, std::string_view wanted) { return pairs_[index].key < wanted; });
    if (at == pairs_by_key_.end() || pairs_[*at].key != key) return nullptr;
    return &pairs_[*at].value;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const noexcept {
    const auto at = std::lower_bound(
        tensors_by_name_.begin(), tensors_by_name_.end(), name,
        [&](uint32_t index, std::string_view wanted) { return tensors_[index].name < wanted; });
    if (at == tensors_by_name_.end() || tensors_[*at].name != name) return nullptr;
    return &tensors_[*at];
}

template <class T>
Result<T> GgufFile::get_integer(std::string_view key, std::string_view wanted) const {
    const GgufValue* value = find(key);
    if (!value) return absent(key, wanted);
    const std::byte* at = value->bytes.data();
    uint64_t magnitude = 0;  // of a negative number: its two's complement
    bool negative = false;
    const auto keep = [&](auto number) {
        if constexpr (std::is_signed_v<decltype(number)>) negative = number < 0;
        magnitude = static_cast<uint64_t>(number);
    };
    switch (value->type) {
        case GgufType::kU8: keep(load<uint8_t>(at)); break;
        case GgufType::kI8: keep(load<int8_t>(at)); break;
        case GgufType::kU16: keep(load<uint16_t>(at)); break;
        case GgufType::kI16: keep(load<int16_t>(at)); break;
        case GgufType::kU32: keep(load<uint32_t>(at)); break;
        case GgufType::kI32: keep(load<int32_t>(at)); break;
        case GgufType::kU64: keep(load<uint64_t>(at)); break;
        case GgufType::kI64: keep(load<int64_t>(at)); break;
        default: return wrong_type(key, wanted, *value);
    }
    const bool fits =
        negative ? std::is_signed_v<T> && static_cast<int64_t>(magnitude) >=
                                              static_cast<int64_t>(std::numeric_limits<T>::min())
                 : magnitude <= static_cast<uint64_t>(std::numeric_limits<T>::max());
    if (!fits)
        return Error{Code::kInvalid,
                     fmt::format("key {} is {}, which is not {}", printable(key),
                                 describe_scalar(value->type, at), with_article(wanted))};
    return static_cast<T>(magnitude);
}

Result<uint32_t> GgufFile::get_u32(std::string_view key) const {
    return get_integer<uint32_t>(key, "u32");
}
Result<uint64_t> GgufFile::get_u64(std::string_view key) const {
    return get_integer<uint64_t>(key, "u64");
}
Result<int32_t> GgufFile::get_i32(std::string_view key) const {
    return get_integer<int32_t>(key, "i32");
}
Result<int64_t> GgufFile::get_i64(std::string_view key) const {
    return get_integer<int64_t>(key, "i64");
}

Result<float> GgufFile::get_f32(std::string_view key) const {
    const GgufValue* value = find(key);
    if (!value) return absent(key, "f32");
    if (value->type == GgufType::kF32) return load<float>(value->bytes.data());
    if (value->type == GgufType::kF64) return static_cast<float>(load<double>(value->bytes.data()));
    return wrong_type(key, "f32", *value);
}

Result<bool> GgufFile::get_bool(std::string_view key) const {
    const GgufValue* value = find(key);
    if (!value) return absent(key, "bool");
    if (value->type != GgufType::kBool) return wrong_type(key, "bool", *value);
    return load<uint8_t>(value->bytes.data()) != 0;
}

Result<std::string_view> GgufFile::get_string(std::string_view key) const {
    const GgufValue* value = find(key);
    if (!value) return absent(key, "string");
    if (value->type != GgufType::kString) return wrong_type(key, "string", *value);
    return as_text(value->bytes);
}

Result<const GgufValue*> GgufFile::get_array_of(std::string_view key, GgufType element) const {
    const std::string wanted = fmt::format("array of {}", name_of(element));
    const GgufValue* value = find(key);
    if (!value) return absent(key, wanted);
    if (value->type != GgufType::kArray || value->element != element)
        return wrong_type(key, wanted, *value);
    return value;
}

Result<GgufStrings> GgufFile::get_strings(std::string_view key) const {
    TENON_TRY(const GgufValue* value, get_array_of(key, GgufType::kString));
    return GgufStrings(*value);
}

template <class T>
Result<GgufArray<T>> GgufFile::get_array(std::string_view key) const {
    TENON_TRY(const GgufValue* value, get_array_of(key, type_of<T>()));
    return GgufArray<T>(*value);
}
template Result<GgufArray<int32_t>> GgufFile::get_array(std::string_view) const;
template Result<GgufArray<uint32_t>> GgufFile::get_array(std::string_view) const;
template Result<GgufArray<float>> GgufFile::get_array(std::string_view) const;

Result<uint32_t> GgufFile::get_u32_or(std::string_view key, uint32_t fallback) const {
    if (!find(key)) return fallback;
    return get_u32(key);
}

Result<float> GgufFile::get_f32_or(std::string_view key, float fallback) const {
    if (!find(key)) return fallback;
    return get_f32(key);
}

Result<bool> GgufFile::get_bool_or(std::string_view key, bool fallback) const {
    if (!find(key)) return fallback;
    return get_bool(key);
}

Result<std::string_view> GgufFile::get_string_or(std::string_view key,
                                                 std::string_view fallback) const {
    if (!find(key)) return fallback;
    return get_string(key);
}

Result<const GgufTensor*> GgufFile::get_tensor(std::string_view name) const {
    if (const GgufTensor* tensor = find_tensor(name)) return tensor;
    return Error{Code::kInvalid, fmt::format("tensor {} is missing", printable(name))};
}

}  // namespace tenon::formats
