// tojson as transformers sets it: json.dumps(value, ensure_ascii=False), no HTML escapes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/chat_template/builtin_tables.h"
#include "core/chat_template/runtime.h"

namespace tenon::chat_template {

namespace {

using Kind = Value::Kind;

struct Style {
    bool ensure_ascii = false;
    bool pretty = false;
    bool sort_keys = false;
    Text indent;  // of one level
    Text item_separator = Text::trusted(", ");
    Text key_separator = Text::trusted(": ");
};

class Writer {
public:
    Writer(Runtime& runtime, const Style& style) : runtime_(runtime), style_(style) {}

    Status write(const Value& value, uint32_t depth);
    Text take() { return std::move(out_); }

private:
    void string(const Text& text);
    Status key(const Value& key);
    Status list(const List& list, uint32_t depth);
    Status dict(const Dict& dict, uint32_t depth);
    Status line_break(uint32_t depth);

    Runtime& runtime_;
    const Style& style_;
    Text out_;
};

std::string json_float(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_repr(value);
}

Status Writer::line_break(uint32_t depth) {
    if (!style_.pretty) return {};
    out_.append("\n");
    for (uint32_t i = 0; i < depth; ++i) {
        out_.append(style_.indent);
        TENON_CHECK(runtime_.check_size(out_.size()));
    }
    return {};
}

void Writer::string(const Text& text) {
    const std::string& s = text.bytes();
    out_.append("\"");
    for (size_t i = 0; i < s.size();) {
        const size_t next = next_point(s, i);
        const uint32_t c = decode_point(s, i);
        const bool user = text.is_user_at(i);
        static constexpr std::string_view kFrom = "\"\\\b\f\n\r\t";
        static constexpr std::string_view kTo = "\"\\bfnrt";
        const size_t simple = c < 0x80 ? kFrom.find(static_cast<char>(c)) : std::string_view::npos;
        if (simple != std::string_view::npos) {
            const char escape[2] = {'\\', kTo[simple]};
            out_.append_marked(std::string_view(escape, 2), user);
        } else if (c < 0x20 || (style_.ensure_ascii && c >= 0x7F && c <= 0xFFFF)) {
            out_.append_marked(fmt::format("\\u{:04x}", c), user);
        } else if (style_.ensure_ascii && c > 0xFFFF && c <= 0x10FFFF) {
            out_.append_marked(fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((c - 0x10000) >> 10),
                                           0xDC00 + ((c - 0x10000) & 0x3FF)),
                               user);
        } else {
            out_.append(text, i, next);
        }
        i = next;
    }
    out_.append("\"");
}

Status Writer::key(const Value& key) {
    switch (key.kind()) {
        case Kind::kString: string(key.as_text()); break;
        case Kind::kNone: out_.append("\"null\""); break;
        case Kind::kBool: out_.append(key.as_bool() ? "\"true\"" : "\"false\""); break;
        case Kind::kInt: out_.append(fmt::format("\"{}\"", key.as_integer())); break;
        default: out_.append(fmt::format("\"{}\"", json_float(key.as_float()))); break;
    }
    return {};
}

Status Writer::list(const List& list, uint32_t depth) {
    out_.append("[");
    for (size_t i = 0; i < list.items.size(); ++i) {
        if (i != 0) out_.append(style_.item_separator);
        TENON_CHECK(line_break(depth + 1));
        TENON_CHECK(write(list.items[i], depth + 1));
    }
    if (!list.items.empty()) TENON_CHECK(line_break(depth));
    out_.append("]");
    return {};
}

Status Writer::dict(const Dict& dict, uint32_t depth) {
    std::vector<const std::pair<Value, Value>*> items;
    for (const auto& item : dict.items)
        items.push_back(&item);
    if (style_.sort_keys) {
        const bool strings = std::all_of(items.begin(), items.end(),
                                         [](const auto* i) { return i->first.is_string(); });
        if (!strings) return Error{Code::kUnsupported, "tojson sorts keys only where all are str."};
        TENON_CHECK(runtime_.spend(items.size() * 10));
        std::stable_sort(items.begin(), items.end(), [](const auto* a, const auto* b) {
            return a->first.as_text().bytes() < b->first.as_text().bytes();
        });
    }
    out_.append("{");
    for (size_t i = 0; i < items.size(); ++i) {
        if (i != 0) out_.append(style_.item_separator);
        TENON_CHECK(line_break(depth + 1));
        TENON_CHECK(key(items[i]->first));
        out_.append(style_.key_separator);
        TENON_CHECK(write(items[i]->second, depth + 1));
    }
    if (!items.empty()) TENON_CHECK(line_break(depth));
    out_.append("}");
    return {};
}

Status Writer::write(const Value& value, uint32_t depth) {
    TENON_CHECK(runtime_.spend(1));
    TENON_CHECK(runtime_.check_size(out_.size()));
    switch (value.kind()) {
        case Kind::kNone: out_.append("null"); return {};
        case Kind::kBool: out_.append(value.as_bool() ? "true" : "false"); return {};
        case Kind::kInt: out_.append(std::to_string(value.as_integer())); return {};
        case Kind::kFloat: out_.append(json_float(value.as_float())); return {};
        case Kind::kString:
            TENON_CHECK(runtime_.spend(value.as_text().size() / 64));
            string(value.as_text());
            return {};
        case Kind::kList: return list(value.as_list(), depth);
        case Kind::kDict: return dict(value.as_dict(), depth);
        case Kind::kUndefined: return undefined_error(value);
        default:
            return type_error(fmt::format("{} cannot be written as JSON.", describe_value(value)));
    }
}

Result<Value> tojson(Runtime& runtime, const Call& call) {
    Style style;
    style.ensure_ascii = call.truth(0, false);
    if (call.has(1) && !call.at(1).is(Kind::kNone)) {
        style.pretty = true;
        style.item_separator = Text::trusted(",");
        if (call.at(1).is_string()) {
            style.indent = call.at(1).as_text();
        } else {
            TENON_TRY(const int64_t width, call.integer(1, 0));
            TENON_CHECK(runtime.check_size(static_cast<size_t>(std::max<int64_t>(width, 0))));
            style.indent =
                Text::trusted(std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' '));
        }
    }
    if (call.has(2) && !call.at(2).is(Kind::kNone)) {
        TENON_TRY(const std::vector<Value> pair, runtime.iterate(call.at(2)));
        if (pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) {
            return type_error("the separators of tojson are two str.");
        }
        style.item_separator = pair[0].as_text();
        style.key_separator = pair[1].as_text();
    }
    style.sort_keys = call.truth(3, false);
    Writer writer(runtime, style);
    TENON_CHECK(writer.write(call.self, 0));
    return runtime.make_text(writer.take());
}

constexpr Builtin kTable[] = {
    {"tojson", "ensure_ascii,indent,separators,sort_keys", 0, tojson},
};

}  // namespace

std::span<const Builtin> json_filters() { return kTable; }

}  // namespace tenon::chat_template
