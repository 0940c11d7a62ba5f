#include "core/chat_template/runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/chat_template/builtin.h"
#include "core/chat_template/loop.h"

namespace tenon::chat_template {

using Kind = Value::Kind;

Error type_error(std::string message) { return Error{Code::kInvalid, std::move(message)}; }

Error undefined_error(const Value& value) { return type_error(value.complaint() + "."); }

std::string describe_value(const Value& value) { return fmt::format("a {}", value.type_name()); }

namespace {

// Whether repr() shows a character as it is: all but blanks, format characters, private use and
// unassigned planes. Unassigned code points inside of assigned blocks count as printable here.
bool is_printable(uint32_t c) {
    const auto within = [c](uint32_t first, uint32_t last) { return c >= first && c <= last; };
    if (c > 0x10FFFF) return true;
    return !((c > 0x20 && is_space(c)) || within(0x200B, 0x200F) || within(0x202A, 0x202E) ||
             within(0x2060, 0x206F) || within(0xE000, 0xF8FF) || c == 0xFEFF ||
             within(0xFFF9, 0xFFFB) || within(0x600, 0x605) || c == 0x61C || c == 0x6DD ||
             c == 0x70F || c == 0x180E || within(0xE0000, 0xE00FF) || within(0xE01F0, 0x10FFFF));
}

}  // namespace

Runtime::Runtime(const Limits& limits, size_t input_bytes, const std::tm& now)
    : limits_(limits),
      text_cap_(
          std::max(limits.output_factor * input_bytes + limits.output_base, limits.repeat_bytes)),
      now_(now),
      fuel_(limits.fuel) {}

Runtime::~Runtime() {
    for (const auto& names : namespaces_)
        names->items.clear();
}

Status Runtime::spend(uint64_t ops) {
    if (ops <= fuel_) {
        fuel_ -= ops;
        return {};
    }
    fuel_ = 0;
    return Error{Code::kInvalid,
                 fmt::format("the template takes more than {} steps.", limits_.fuel)};
}

Status Runtime::check_size(size_t bytes) const {
    if (bytes <= text_cap_) return {};
    return Error{Code::kInvalid,
                 fmt::format("the template makes a text of more than {} bytes.", text_cap_)};
}

Result<Value> Runtime::make_text(Text text) {
    TENON_CHECK(check_size(text.size()));
    TENON_CHECK(spend(1 + text.size() / 64 + text.user_spans().size() / 4));
    return Value::text(std::move(text));
}

Result<Value> Runtime::make_list(std::vector<Value> items, bool is_tuple) {
    TENON_CHECK(spend(1 + items.size()));
    Value list = Value::list(std::move(items), is_tuple);
    if (list.depth() > limits_.value_depth) {
        return type_error(fmt::format("lists are nested deeper than {}.", limits_.value_depth));
    }
    return list;
}

Result<Value> Runtime::make_dict(std::vector<std::pair<Value, Value>> items) {
    TENON_CHECK(spend(1 + items.size()));
    Value dict = Value::dict(std::move(items));
    if (dict.depth() > limits_.value_depth) {
        return type_error(fmt::format("dicts are nested deeper than {}.", limits_.value_depth));
    }
    return dict;
}

Value Runtime::make_namespace() {
    namespaces_.push_back(std::make_shared<Namespace>());
    return Value::name_space(namespaces_.back());
}

Result<bool> Runtime::equal(const Value& a, const Value& b) {
    TENON_CHECK(spend(1));
    if (a.is_number() && b.is_number()) {
        return a.is_integral() && b.is_integral() ? a.as_integer() == b.as_integer()
                                                  : a.as_number() == b.as_number();
    }
    if (a.kind() != b.kind()) return false;
    switch (a.kind()) {
        case Kind::kUndefined:
        case Kind::kNone: return true;
        case Kind::kString: {
            TENON_CHECK(spend(a.as_text().size() / 64));
            return a.as_text().bytes() == b.as_text().bytes();
        }
        case Kind::kList: {
            const List& x = a.as_list();
            const List& y = b.as_list();
            if (x.is_tuple != y.is_tuple || x.items.size() != y.items.size()) return false;
            for (size_t i = 0; i < x.items.size(); ++i) {
                TENON_TRY(const bool same, equal(x.items[i], y.items[i]));
                if (!same) return false;
            }
            return true;
        }
        case Kind::kDict: {
            const Dict& x = a.as_dict();
            const Dict& y = b.as_dict();
            if (x.items.size() != y.items.size()) return false;
            for (const auto& [key, value] : x.items) {
                TENON_CHECK(spend(y.items.size() / 16));
                const Value* other = y.find(key);
                if (other == nullptr) return false;
                TENON_TRY(const bool same, equal(value, *other));
                if (!same) return false;
            }
            return true;
        }
        default: return a.identity() == b.identity();
    }
}

Result<int> Runtime::compare(const Value& a, const Value& b) {
    TENON_CHECK(spend(1));
    const auto sign = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
    if (a.is_undefined()) return undefined_error(a);
    if (b.is_undefined()) return undefined_error(b);
    if (a.is_integral() && b.is_integral()) return sign(a.as_integer(), b.as_integer());
    if (a.is_number() && b.is_number()) return sign(a.as_number(), b.as_number());
    if (a.is_string() && b.is_string()) {
        TENON_CHECK(spend(a.as_text().size() / 64));
        return sign(a.as_text().bytes().compare(b.as_text().bytes()), 0);
    }
    if (a.is(Kind::kList) && b.is(Kind::kList) && a.as_list().is_tuple == b.as_list().is_tuple) {
        const auto& x = a.as_list().items;
        const auto& y = b.as_list().items;
        for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
            TENON_TRY(const bool same, equal(x[i], y[i]));
            if (!same) return compare(x[i], y[i]);
        }
        return sign(x.size(), y.size());
    }
    return type_error(fmt::format("a {} and a {} have no order.", a.type_name(), b.type_name()));
}

Result<bool> Runtime::contains(const Value& needle, const Value& hay) {
    if (hay.is_string()) {
        if (!needle.is_string()) {
            return type_error(fmt::format("'in' of a str wants a str on its left, not {}.",
                                          describe_value(needle)));
        }
        TENON_CHECK(spend(1 + hay.as_text().size() / 64));
        return find_bytes(hay.as_text().bytes(), needle.as_text().bytes(), 0) !=
               std::string_view::npos;
    }
    if (hay.is(Kind::kDict)) {
        if (!is_key(needle))
            return type_error(fmt::format("{} cannot be a key of a dict.", describe_value(needle)));
        TENON_CHECK(spend(1 + hay.as_dict().items.size() / 16));
        return hay.as_dict().find(needle) != nullptr;
    }
    if (hay.is(Kind::kList)) {
        for (const Value& item : hay.as_list().items) {
            TENON_TRY(const bool same, equal(needle, item));
            if (same) return true;
        }
        return false;
    }
    if (hay.is_undefined()) return false;
    return type_error(fmt::format("'in' wants a str, a list or a dict on its right, not {}.",
                                  describe_value(hay)));
}

Result<Value> Runtime::attribute(const Value& value, std::string_view name) {
    TENON_CHECK(spend(1));
    if (value.is_undefined()) return undefined_error(value);
    if (value.is(Kind::kNamespace)) {
        TENON_CHECK(spend(value.as_namespace().items.size() / 16));
        if (const Value* found = value.as_namespace().find(name)) return *found;
    }
    const Builtin* method =
        value.is_string() ? find_string_method(name) : find_container_method(value, name);
    if (method != nullptr) return Value::object(std::make_shared<Function>(method, value));
    if (const LoopObject* loop = value.find_object<LoopObject>()) return loop->attribute(name);
    if (value.is(Kind::kDict)) {
        TENON_CHECK(spend(value.as_dict().items.size() / 16));
        if (const Value* found = value.as_dict().find(name)) return *found;
    }
    return Value::undefined(
        fmt::format("a {} has no attribute '{}'", value.type_name(), name.substr(0, 80)));
}

Result<Value> Runtime::item(const Value& value, const Value& key) {
    TENON_CHECK(spend(1));
    if (value.is_undefined()) return undefined_error(value);
    if (value.is(Kind::kDict)) {
        TENON_CHECK(spend(value.as_dict().items.size() / 16));
        if (const Value* found = value.as_dict().find(key)) return *found;
    }
    if (key.is_integral() && value.is(Kind::kList)) {
        const auto& items = value.as_list().items;
        const auto size = static_cast<int64_t>(items.size());
        const int64_t index = key.as_integer() < 0 ? key.as_integer() + size : key.as_integer();
        if (index >= 0 && index < size) return items[static_cast<size_t>(index)];
    }
    if (key.is_integral() && value.is_string()) {
        const Text& text = value.as_text();
        TENON_CHECK(spend(text.size() / 64));
        const auto size = static_cast<int64_t>(count_points(text.bytes()));
        const int64_t index = key.as_integer() < 0 ? key.as_integer() + size : key.as_integer();
        if (index >= 0 && index < size) {
            const size_t begin = size == static_cast<int64_t>(text.size())
                                     ? static_cast<size_t>(index)
                                     : offset_of_point(text.bytes(), static_cast<size_t>(index));
            return make_text(text.slice(begin, next_point(text.bytes(), begin)));
        }
    }
    if (key.is_string()) return attribute(value, key.as_text().bytes());
    if (key.is_integral()) {
        return Value::undefined(
            fmt::format("a {} has no item {}", value.type_name(), key.as_integer()));
    }
    return Value::undefined(fmt::format("a {} has no such item", value.type_name()));
}

Result<Value> Runtime::path(const Value& value, const Value& dotted) {
    if (dotted.is_integral()) return item(value, dotted);
    if (!dotted.is_string()) return type_error("an attribute is named by a str or an int.");
    Value at = value;
    std::string_view rest = dotted.as_text().bytes();
    for (;;) {
        const size_t dot = std::min(rest.find('.'), rest.size());
        const std::string_view part = rest.substr(0, dot);
        const bool digits =
            !part.empty() && part.size() < 10 &&
            std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
        TENON_TRY(at, item(at, digits ? Value::integer(std::stoll(std::string(part)))
                                      : Value::trusted(std::string(part))));
        if (dot == rest.size()) return at;
        rest.remove_prefix(dot + 1);
    }
}

Result<Value> Runtime::slice(const Value& value, const Value* from, const Value* to,
                             const Value* step) {
    if (value.is_undefined()) return undefined_error(value);
    if (!value.is_string() && !value.is(Kind::kList)) {
        return type_error(fmt::format("{} cannot be sliced.", describe_value(value)));
    }
    int64_t bounds[3] = {0, 0, 1};
    bool given[3] = {false, false, false};
    const Value* parts[3] = {from, to, step};
    for (int i = 0; i < 3; ++i) {
        if (parts[i] == nullptr || parts[i]->is(Kind::kNone)) continue;
        if (!parts[i]->is_integral())
            return type_error(
                fmt::format("a slice wants ints, not {}.", describe_value(*parts[i])));
        bounds[i] = parts[i]->as_integer();
        given[i] = true;
    }
    const int64_t stride = bounds[2];
    if (stride == 0) return type_error("the step of a slice is 0.");
    // Byte offsets of code points, only where they differ from indices.
    std::vector<size_t> offsets;
    int64_t size = 0;
    if (value.is_string()) {
        const std::string& bytes = value.as_text().bytes();
        TENON_CHECK(spend(bytes.size() / 64));
        if (is_ascii(bytes)) {
            size = static_cast<int64_t>(bytes.size());
        } else {
            for (size_t i = 0; i < bytes.size(); i = next_point(bytes, i))
                offsets.push_back(i);
            size = static_cast<int64_t>(offsets.size());
            offsets.push_back(bytes.size());
        }
    } else {
        size = static_cast<int64_t>(value.as_list().items.size());
    }
    const int64_t lowest = stride < 0 ? -1 : 0;
    const int64_t highest = stride < 0 ? size - 1 : size;
    const auto clamp = [&](int i, int64_t fallback) {
        if (!given[i]) return fallback;
        if (bounds[i] < -size - 1) return lowest;
        return std::clamp(bounds[i] < 0 ? bounds[i] + size : bounds[i], lowest, highest);
    };
    const int64_t first = clamp(0, stride < 0 ? highest : lowest);
    const int64_t last = clamp(1, stride < 0 ? lowest : highest);
    const auto offset = [&](int64_t i) {
        return offsets.empty() ? static_cast<size_t>(i) : offsets[static_cast<size_t>(i)];
    };
    if (value.is_string() && stride == 1) {
        return make_text(first < last ? value.as_text().slice(offset(first), offset(last))
                                      : Text());
    }
    Text text;
    std::vector<Value> items;
    // One past the range in either direction cannot overflow: |i| <= size, so clamp the stride.
    const int64_t hop = std::clamp<int64_t>(stride, -size - 1, size + 1);
    for (int64_t i = first; hop > 0 ? i < last : i > last; i += hop) {
        if (value.is_string()) {
            text.append(value.as_text(), offset(i), offset(i + 1));
        } else {
            items.push_back(value.as_list().items[static_cast<size_t>(i)]);
        }
    }
    if (value.is_string()) return make_text(std::move(text));
    return make_list(std::move(items), value.as_list().is_tuple);
}

Result<std::vector<Value>> Runtime::iterate(const Value& value) {
    std::vector<Value> items;
    switch (value.kind()) {
        case Kind::kUndefined: return items;
        case Kind::kList:
            TENON_CHECK(spend(value.as_list().items.size()));
            return value.as_list().items;
        case Kind::kDict:
            TENON_CHECK(spend(value.as_dict().items.size()));
            for (const auto& [key, item] : value.as_dict().items)
                items.push_back(key);
            return items;
        case Kind::kString: {
            const Text& text = value.as_text();
            for (size_t i = 0; i < text.size();) {
                const size_t next = next_point(text.bytes(), i);
                TENON_TRY(Value point, make_text(text.slice(i, next)));
                items.push_back(std::move(point));
                i = next;
            }
            return items;
        }
        default: return type_error(fmt::format("{} cannot be looped over.", describe_value(value)));
    }
}

Result<int64_t> Runtime::length(const Value& value) {
    switch (value.kind()) {
        case Kind::kUndefined: return int64_t{0};
        case Kind::kString:
            TENON_CHECK(spend(value.as_text().size() / 64));
            return static_cast<int64_t>(count_points(value.as_text().bytes()));
        case Kind::kList: return static_cast<int64_t>(value.as_list().items.size());
        case Kind::kDict: return static_cast<int64_t>(value.as_dict().items.size());
        default: return type_error(fmt::format("{} has no length.", describe_value(value)));
    }
}

Result<Text> Runtime::to_text(const Value& value) {
    if (value.is_string()) return value.as_text();
    Text out;
    if (value.is_undefined()) return out;
    TENON_CHECK(repr(value, out));
    return out;
}

Status Runtime::repr(const Value& value, Text& out, uint32_t depth) {
    TENON_CHECK(spend(1));
    TENON_CHECK(check_size(out.size()));
    if (depth > limits_.value_depth)
        return type_error("a value that holds itself cannot be printed.");
    switch (value.kind()) {
        case Kind::kUndefined: out.append("Undefined"); break;
        case Kind::kNone: out.append("None"); break;
        case Kind::kBool: out.append(value.as_bool() ? "True" : "False"); break;
        case Kind::kInt: out.append(std::to_string(value.as_integer())); break;
        case Kind::kFloat: out.append(float_repr(value.as_float())); break;
        case Kind::kString: {
            const Text& text = value.as_text();
            const std::string& s = text.bytes();
            TENON_CHECK(spend(s.size() / 64));
            const char quote =
                s.find('\'') != std::string::npos && s.find('"') == std::string::npos ? '"' : '\'';
            out.append(std::string_view(&quote, 1));
            for (size_t i = 0; i < s.size();) {
                const size_t next = next_point(s, i);
                const uint32_t c = decode_point(s, i);
                const bool user = text.is_user_at(i);
                if (c == static_cast<unsigned char>(quote) || c == '\\') {
                    out.append_marked(fmt::format("\\{}", static_cast<char>(c)), user);
                } else if (c == '\n' || c == '\r' || c == '\t') {
                    out.append_marked(c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t", user);
                } else if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD) {
                    out.append_marked(fmt::format("\\x{:02x}", c), user);
                } else if (!is_printable(c)) {
                    out.append_marked(
                        c <= 0xFFFF ? fmt::format("\\u{:04x}", c) : fmt::format("\\U{:08x}", c),
                        user);
                } else {
                    out.append(text, i, next);
                }
                i = next;
            }
            out.append(std::string_view(&quote, 1));
            break;
        }
        case Kind::kList: {
            const List& list = value.as_list();
            out.append(list.is_tuple ? "(" : "[");
            for (size_t i = 0; i < list.items.size(); ++i) {
                if (i != 0) out.append(", ");
                TENON_CHECK(repr(list.items[i], out, depth + 1));
            }
            if (list.is_tuple && list.items.size() == 1) out.append(",");
            out.append(list.is_tuple ? ")" : "]");
            break;
        }
        case Kind::kDict: {
            out.append("{");
            bool first = true;
            for (const auto& [key, item] : value.as_dict().items) {
                if (!first) out.append(", ");
                first = false;
                TENON_CHECK(repr(key, out, depth + 1));
                out.append(": ");
                TENON_CHECK(repr(item, out, depth + 1));
            }
            out.append("}");
            break;
        }
        default:
            return Error{Code::kUnsupported,
                         fmt::format("{} cannot be printed.", describe_value(value))};
    }
    return check_size(out.size());
}

}  // namespace tenon::chat_template
