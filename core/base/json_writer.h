// Writes JSON text front to back: no tree, no allocation beside the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace tenon {

// Appends one JSON value to a string. Commas and quoting are the writer's; nesting is the caller's:
// every begin has its end, and inside an object every value follows a key. Text that is not UTF-8
// comes out with U+FFFD for each bad byte. Numbers that JSON cannot say (NaN, Inf) become null.
class JsonWriter {
public:
    JsonWriter& begin_object() { return open('{'); }
    JsonWriter& end_object() { return close('}'); }
    JsonWriter& begin_array() { return open('['); }
    JsonWriter& end_array() { return close(']'); }
    JsonWriter& key(std::string_view name);

    JsonWriter& value(std::string_view text);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(bool truth);
    JsonWriter& value(double number);
    template <class T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, int> = 0>
    JsonWriter& value(T number) {
        comma();
        text_ += std::to_string(number);
        return *this;
    }
    JsonWriter& null();

    template <class T>
    JsonWriter& field(std::string_view name, const T& what) {
        return key(name).value(what);
    }
    template <class Range>
    JsonWriter& array(std::string_view name, const Range& range) {
        key(name).begin_array();
        for (const auto& item : range)
            value(item);
        return end_array();
    }

    const std::string& text() const noexcept { return text_; }

private:
    JsonWriter& open(char bracket);
    JsonWriter& close(char bracket);
    void comma();
    void quote(std::string_view text);

    std::string text_;
    bool first_ = true;  // no value stands before this one in its object or array
};

}  // namespace tenon
