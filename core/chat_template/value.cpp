#include "core/chat_template/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace tenon::chat_template {

Value Value::undefined(std::string complaint) {
    Value value;
    value.state_ = std::make_shared<const std::string>(std::move(complaint));
    return value;
}

Value Value::none() {
    Value value;
    value.state_ = std::monostate();
    return value;
}

Value Value::boolean(bool b) {
    Value value;
    value.state_ = b;
    return value;
}

Value Value::integer(int64_t i) {
    Value value;
    value.state_ = i;
    return value;
}

Value Value::real(double d) {
    Value value;
    value.state_ = d;
    return value;
}

Value Value::user(std::string bytes) { return text(Text::user(std::move(bytes))); }

Value Value::trusted(std::string bytes) { return text(Text::trusted(std::move(bytes))); }

Value Value::text(Text text) {
    Value value;
    value.state_ = std::make_shared<const Text>(std::move(text));
    return value;
}

Value Value::list(std::vector<Value> items, bool is_tuple) {
    uint32_t depth = 0;
    for (const Value& item : items)
        depth = std::max(depth, item.depth());
    Value value;
    value.state_ = std::make_shared<const List>(List{std::move(items), is_tuple, depth + 1});
    return value;
}

Value Value::dict(std::vector<std::pair<Value, Value>> items) {
    uint32_t depth = 0;
    for (const auto& [key, item] : items)
        depth = std::max(depth, item.depth());
    Value value;
    value.state_ = std::make_shared<const Dict>(Dict{std::move(items), depth + 1});
    return value;
}

Value Value::name_space(std::shared_ptr<Namespace> names) {
    Value value;
    value.state_ = std::move(names);
    return value;
}

Value Value::object(std::shared_ptr<const Object> object) {
    Value value;
    value.state_ = std::move(object);
    return value;
}

std::string Value::complaint() const {
    const auto& text = std::get<std::shared_ptr<const std::string>>(state_);
    return text ? *text : "a value is undefined";
}

bool Value::truth() const {
    switch (kind()) {
        case Kind::kUndefined:
        case Kind::kNone: return false;
        case Kind::kBool: return as_bool();
        case Kind::kInt: return as_integer() != 0;
        case Kind::kFloat: return as_float() != 0;
        case Kind::kString: return !as_text().empty();
        case Kind::kList: return !as_list().items.empty();
        case Kind::kDict: return !as_dict().items.empty();
        case Kind::kNamespace:
        case Kind::kObject: return true;
    }
    return false;
}

std::string_view Value::type_name() const {
    switch (kind()) {
        case Kind::kUndefined: return "Undefined";
        case Kind::kNone: return "NoneType";
        case Kind::kBool: return "bool";
        case Kind::kInt: return "int";
        case Kind::kFloat: return "float";
        case Kind::kString: return "str";
        case Kind::kList: return as_list().is_tuple ? "tuple" : "list";
        case Kind::kDict: return "dict";
        case Kind::kNamespace: return "Namespace";
        case Kind::kObject: return as_object()->type_name();
    }
    return "";
}

uint32_t Value::depth() const {
    if (is(Kind::kList)) return as_list().depth;
    if (is(Kind::kDict)) return as_dict().depth;
    if (is(Kind::kObject)) return as_object()->depth();
    return 0;
}

size_t Value::text_bytes(size_t stop) const {
    size_t sum = 0;
    if (is_string()) return as_text().size();
    if (is(Kind::kList)) {
        for (const Value& item : as_list().items) {
            sum += 1 + item.text_bytes(stop);
            if (sum > stop) return sum;
        }
    }
    if (is(Kind::kDict)) {
        for (const auto& [key, item] : as_dict().items) {
            sum += 1 + key.text_bytes(stop) + item.text_bytes(stop);
            if (sum > stop) return sum;
        }
    }
    return sum;
}

const void* Value::identity() const {
    switch (kind()) {
        case Kind::kList: return &as_list();
        case Kind::kDict: return &as_dict();
        case Kind::kString: return &as_text();
        case Kind::kNamespace: return &as_namespace();
        case Kind::kObject: return as_object().get();
        default: return nullptr;
    }
}

const Value* Dict::find(std::string_view key) const {
    for (const auto& [k, value] : items) {
        if (k.is_string() && k.as_text().bytes() == key) return &value;
    }
    return nullptr;
}

const Value* Dict::find(const Value& key) const {
    if (key.is_string()) return find(key.as_text().bytes());
    for (const auto& [k, value] : items) {
        if (same_key(k, key)) return &value;
    }
    return nullptr;
}

void Dict::put(std::vector<std::pair<Value, Value>>& items, Value key, Value value) {
    for (auto& [k, old] : items) {
        if (same_key(k, key)) {
            old = std::move(value);
            return;
        }
    }
    items.emplace_back(std::move(key), std::move(value));
}

const Value* Namespace::find(std::string_view name) const {
    for (const auto& [key, value] : items) {
        if (key == name) return &value;
    }
    return nullptr;
}

void Namespace::set(std::string_view name, Value value) {
    for (auto& [key, old] : items) {
        if (key == name) {
            old = std::move(value);
            return;
        }
    }
    items.emplace_back(name, std::move(value));
}

bool is_key(const Value& value) {
    return value.is_string() || value.is_number() || value.is(Value::Kind::kNone);
}

bool same_key(const Value& a, const Value& b) {
    if (a.is_string() && b.is_string()) return a.as_text().bytes() == b.as_text().bytes();
    if (a.is_integral() && b.is_integral()) return a.as_integer() == b.as_integer();
    if (a.is_number() && b.is_number()) return a.as_number() == b.as_number();
    return a.is(Value::Kind::kNone) && b.is(Value::Kind::kNone);
}

std::string float_repr(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    char buffer[40];
    const auto end =
        std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
    std::string_view text(buffer, static_cast<size_t>(end.ptr - buffer));
    std::string out;
    if (text.front() == '-') {
        out = "-";
        text.remove_prefix(1);
    }
    const size_t mark = text.find('e');
    std::string digits;
    for (char c : text.substr(0, mark)) {
        if (c != '.') digits += c;
    }
    int exponent = 0;
    std::string_view tail = text.substr(mark + 1);
    if (tail.front() == '+') tail.remove_prefix(1);
    std::from_chars(tail.data(), tail.data() + tail.size(), exponent);
    // Python prints positional digits for 1e-4 <= |x| < 1e16.
    if (exponent < -4 || exponent >= 16) {
        out += digits[0];
        if (digits.size() > 1) out += "." + digits.substr(1);
        out += exponent < 0 ? "e-" : "e+";
        const std::string power = std::to_string(std::abs(exponent));
        return out + (power.size() < 2 ? "0" : "") + power;
    }
    if (exponent < 0)
        return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
    const size_t whole = static_cast<size_t>(exponent) + 1;
    if (digits.size() <= whole)
        return out + digits + std::string(whole - digits.size(), '0') + ".0";
    return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

}  // namespace tenon::chat_template
