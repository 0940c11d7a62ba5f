#include <fmt/format.h>

#include <algorithm>

#include "core/chat_template/builtin_tables.h"
#include "core/chat_template/operators.h"
#include "core/chat_template/replace.h"

namespace tenon::chat_template {

namespace {

Result<Value> upper(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    return runtime.make_text(change_case(text, Case::kUpper));
}

Result<Value> lower(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    return runtime.make_text(change_case(text, Case::kLower));
}

Result<Value> capitalize(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    return runtime.make_text(change_case(text, Case::kCapitalize));
}

// Unlike str.title: words begin behind white space and - ( { [ < only.
Result<Value> title(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    const std::string& s = text.bytes();
    Text out;
    size_t begin = 0;
    const auto put_word = [&](size_t end) {
        if (begin == end) return;
        const size_t second = next_point(s, begin);
        out.append(change_case(text.slice(begin, second), Case::kUpper));
        out.append(change_case(text.slice(second, end), Case::kLower));
    };
    for (size_t i = 0; i < s.size();) {
        const uint32_t point = decode_point(s, i);
        const size_t next = next_point(s, i);
        if (is_space(point) || point == '-' || point == '(' || point == '{' || point == '[' ||
            point == '<') {
            put_word(i);
            out.append(text, i, next);
            begin = next;
        }
        i = next;
    }
    put_word(s.size());
    return runtime.make_text(std::move(out));
}

Result<Value> trim(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    const std::string* chars = nullptr;
    if (call.has(0) && !call.at(0).is(Value::Kind::kNone)) {
        TENON_TRY(const Text* given, call.text(0));
        chars = &given->bytes();
        TENON_CHECK(runtime.spend(text.size() * chars->size() / 64));
    }
    return runtime.make_text(strip(text, true, true, chars));
}

Result<Value> replace_filter(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    TENON_TRY(const Text from, runtime.to_text(call.at(0)));
    TENON_TRY(const Text to, runtime.to_text(call.at(1)));
    TENON_TRY(const int64_t count, call.integer(2, -1));
    return replace_text(runtime, text, from.bytes(), to, count);
}

Result<Value> string_filter(Runtime& runtime, const Call& call) {
    if (call.self.is_string()) return call.self;
    TENON_TRY(Text text, runtime.to_text(call.self));
    return runtime.make_text(std::move(text));
}

Result<Value> escape(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    if (text.markup()) return call.self;
    TENON_CHECK(runtime.check_size(text.size()));
    return runtime.make_text(escape_html(text));
}

Result<Value> force_escape(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    return runtime.make_text(escape_html(text));
}

Result<Value> safe(Runtime& runtime, const Call& call) {
    TENON_TRY(Text text, runtime.to_text(call.self));
    text.set_markup(true);
    return runtime.make_text(std::move(text));
}

// Lines as str.splitlines finds them.
std::vector<Span> split_lines(const std::string& s) {
    std::vector<Span> lines;
    size_t begin = 0;
    for (size_t i = 0; i < s.size();) {
        const uint32_t c = decode_point(s, i);
        size_t next = next_point(s, i);
        const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                          c == 0x2028 || c == 0x2029;
        if (ends) {
            lines.push_back({begin, i});
            if (c == '\r' && next < s.size() && s[next] == '\n') ++next;
            begin = next;
        }
        i = next;
    }
    if (begin < s.size()) lines.push_back({begin, s.size()});
    return lines;
}

Result<Value> indent(Runtime& runtime, const Call& call) {
    if (!call.self.is_string())
        return type_error(fmt::format("'indent' wants a str, not {}.", describe_value(call.self)));
    Text text = call.self.as_text();
    Text margin = Text::trusted("    ");
    if (call.has(0) && call.at(0).is_string()) {
        margin = call.at(0).as_text();
    } else if (call.has(0)) {
        TENON_TRY(const int64_t width, call.integer(0, 4));
        TENON_CHECK(runtime.check_size(static_cast<size_t>(std::max<int64_t>(width, 0))));
        margin = Text::trusted(std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' '));
    }
    const bool first = call.truth(1, false);
    const bool blank = call.truth(2, false);
    text.append("\n");  // jinja adds one, and splitlines takes it off again
    const std::vector<Span> lines = split_lines(text.bytes());
    Text out;
    if (first) out.append(margin);
    for (size_t i = 0; i < lines.size(); ++i) {
        const bool empty = lines[i].begin == lines[i].end;
        if (i != 0) out.append("\n");
        if (i != 0 && (blank || !empty)) out.append(margin);
        out.append(text, lines[i].begin, lines[i].end);
        TENON_CHECK(runtime.check_size(out.size()));
    }
    return runtime.make_text(std::move(out));
}

Result<Value> center(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    TENON_TRY(const int64_t width, call.integer(0, 80));
    const auto size = static_cast<int64_t>(count_points(text.bytes()));
    if (width <= size) return runtime.make_text(text);
    TENON_CHECK(runtime.check_size(static_cast<size_t>(width) + text.size()));
    const int64_t pad = width - size;
    const int64_t left = pad / 2 + (pad & width & 1);
    Text out = Text::trusted(std::string(static_cast<size_t>(left), ' '));
    out.append(text);
    out.append(std::string(static_cast<size_t>(pad - left), ' '));
    return runtime.make_text(std::move(out));
}

Result<Value> format_filter(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    if (!call.args->named.empty())
        return Error{Code::kUnsupported, "named values in 'format' are not supported."};
    return format_percent(runtime, text, Value::list(call.args->positional, true));
}

constexpr Builtin kTable[] = {
    {"upper", "", 0, upper},
    {"lower", "", 0, lower},
    {"capitalize", "", 0, capitalize},
    {"title", "", 0, title},
    {"trim", "chars", 0, trim},
    {"replace", "old,new,count", 2, replace_filter},
    {"string", "", 0, string_filter},
    {"e", "", 0, escape},
    {"escape", "", 0, escape},
    {"forceescape", "", 0, force_escape},
    {"safe", "", 0, safe},
    {"indent", "width,first,blank", 0, indent},
    {"center", "width", 0, center},
    {"format", "*", 0, format_filter},
};

}  // namespace

std::span<const Builtin> text_filters() { return kTable; }

}  // namespace tenon::chat_template
