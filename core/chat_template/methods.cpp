// Methods of str, dict, list and loop. Methods that would change a list or dict do not exist.
#include <fmt/format.h>

#include <algorithm>

#include "core/chat_template/builtin_tables.h"
#include "core/chat_template/loop.h"
#include "core/chat_template/operators.h"
#include "core/chat_template/replace.h"

namespace tenon::chat_template {

namespace {

using Kind = Value::Kind;

const Text& self(const Call& call) { return call.self.as_text(); }

Result<Value> strip_sides(Runtime& runtime, const Call& call, bool left, bool right) {
    const std::string* chars = nullptr;
    if (call.has(0) && !call.at(0).is(Kind::kNone)) {
        TENON_TRY(const Text* given, call.text(0));
        chars = &given->bytes();
        TENON_CHECK(runtime.spend(self(call).size() * chars->size() / 64));
    }
    return runtime.make_text(strip(self(call), left, right, chars));
}
Result<Value> strip_both(Runtime& r, const Call& call) { return strip_sides(r, call, true, true); }
Result<Value> strip_left(Runtime& r, const Call& call) { return strip_sides(r, call, true, false); }
Result<Value> strip_right(Runtime& r, const Call& call) {
    return strip_sides(r, call, false, true);
}

template <Case to>
Result<Value> change(Runtime& runtime, const Call& call) {
    return runtime.make_text(change_case(self(call), to));
}

// Whether self begins (ends) with the argument, or with one of a tuple.
Result<Value> has_affix(Runtime& runtime, const Call& call, bool at_start) {
    std::vector<Value> affixes = {call.at(0)};
    if (call.at(0).is(Kind::kList) && call.at(0).as_list().is_tuple)
        affixes = call.at(0).as_list().items;
    const std::string_view s = self(call).bytes();
    for (const Value& affix : affixes) {
        TENON_CHECK(runtime.spend(1));
        if (!affix.is_string())
            return type_error(
                fmt::format("startswith and endswith want a str, not {}.", describe_value(affix)));
        const std::string& a = affix.as_text().bytes();
        if (s.size() >= a.size() && s.substr(at_start ? 0 : s.size() - a.size(), a.size()) == a)
            return Value::boolean(true);
    }
    return Value::boolean(false);
}
Result<Value> starts_with(Runtime& r, const Call& call) { return has_affix(r, call, true); }
Result<Value> ends_with(Runtime& r, const Call& call) { return has_affix(r, call, false); }

Result<Value> replace_method(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text* from, call.text(0));
    TENON_TRY(const Text* to, call.text(1));
    TENON_TRY(const int64_t count, call.integer(2, -1));
    return replace_text(runtime, self(call), from->bytes(), *to, count);
}

Status push_slice(Runtime& runtime, const Text& text, size_t begin, size_t end,
                  std::vector<Value>& out) {
    TENON_TRY(Value piece, runtime.make_text(text.slice(begin, end)));
    out.push_back(std::move(piece));
    return {};
}

Result<std::vector<Value>> split_space(Runtime& runtime, const Text& text, int64_t limit) {
    const std::string& s = text.bytes();
    std::vector<Value> out;
    for (size_t i = 0;;) {
        while (i < s.size() && is_space(decode_point(s, i)))
            i = next_point(s, i);
        if (i == s.size()) return out;
        if (limit >= 0 && static_cast<int64_t>(out.size()) == limit) {
            const Text rest = strip(text.slice(i, s.size()), false, true, nullptr);
            TENON_CHECK(push_slice(runtime, rest, 0, rest.size(), out));
            return out;
        }
        const size_t begin = i;
        while (i < s.size() && !is_space(decode_point(s, i)))
            i = next_point(s, i);
        TENON_CHECK(push_slice(runtime, text, begin, i, out));
    }
}

Result<Value> split(Runtime& runtime, const Call& call) {
    TENON_TRY(const int64_t limit, call.integer(1, -1));
    if (!call.has(0) || call.at(0).is(Kind::kNone)) {
        TENON_TRY(std::vector<Value> pieces, split_space(runtime, self(call), limit));
        return runtime.make_list(std::move(pieces));
    }
    TENON_TRY(const Text* separator, call.text(0));
    if (separator->empty()) return type_error("split got an empty separator.");
    std::vector<Value> out;
    size_t begin = 0;
    while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
        const size_t hit = find_bytes(self(call).bytes(), separator->bytes(), begin);
        if (hit == std::string_view::npos) break;
        TENON_CHECK(push_slice(runtime, self(call), begin, hit, out));
        begin = hit + separator->size();
    }
    TENON_CHECK(push_slice(runtime, self(call), begin, self(call).size(), out));
    return runtime.make_list(std::move(out));
}

Result<Value> rsplit(Runtime& runtime, const Call& call) {
    TENON_TRY(const int64_t limit, call.integer(1, -1));
    if (limit < 0) return split(runtime, call);
    if (!call.has(0) || call.at(0).is(Kind::kNone)) {
        return Error{Code::kUnsupported, "rsplit with a limit wants a separator."};
    }
    TENON_TRY(const Text* separator, call.text(0));
    if (separator->empty()) return type_error("rsplit got an empty separator.");
    const std::string& s = self(call).bytes();
    std::vector<Value> out;
    size_t end = s.size();
    while (static_cast<int64_t>(out.size()) < limit && end >= separator->size()) {
        TENON_CHECK(runtime.spend(1 + end / 64));
        const size_t hit = s.rfind(separator->bytes(), end - separator->size());
        if (hit == std::string::npos) break;
        TENON_CHECK(push_slice(runtime, self(call), hit + separator->size(), end, out));
        end = hit;
    }
    TENON_CHECK(push_slice(runtime, self(call), 0, end, out));
    std::reverse(out.begin(), out.end());
    return runtime.make_list(std::move(out));
}

Result<Value> splitlines(Runtime& runtime, const Call& call) {
    const std::string& s = self(call).bytes();
    const bool keep = call.truth(0, false);
    std::vector<Value> out;
    size_t begin = 0;
    for (size_t i = 0; i < s.size();) {
        const uint32_t c = decode_point(s, i);
        size_t next = next_point(s, i);
        const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                          c == 0x2028 || c == 0x2029;
        if (ends) {
            if (c == '\r' && next < s.size() && s[next] == '\n') ++next;
            TENON_CHECK(push_slice(runtime, self(call), begin, keep ? next : i, out));
            begin = next;
        }
        i = next;
    }
    if (begin < s.size()) TENON_CHECK(push_slice(runtime, self(call), begin, s.size(), out));
    return runtime.make_list(std::move(out));
}

Result<Value> find(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text* what, call.text(0));
    TENON_CHECK(runtime.spend(1 + self(call).size() / 64));
    const size_t hit = find_bytes(self(call).bytes(), what->bytes(), 0);
    if (hit == std::string_view::npos) return Value::integer(-1);
    return Value::integer(
        static_cast<int64_t>(count_points(std::string_view(self(call).bytes()).substr(0, hit))));
}

Result<Value> index(Runtime& runtime, const Call& call) {
    TENON_TRY(Value at, find(runtime, call));
    if (at.as_integer() < 0) return type_error("index did not find its str.");
    return at;
}

Result<Value> count(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text* what, call.text(0));
    TENON_CHECK(runtime.spend(1 + self(call).size() / 64));
    if (what->empty())
        return Value::integer(static_cast<int64_t>(count_points(self(call).bytes())) + 1);
    int64_t hits = 0;
    for (size_t at = 0;
         (at = find_bytes(self(call).bytes(), what->bytes(), at)) != std::string_view::npos;
         at += what->size())
        ++hits;
    return Value::integer(hits);
}

Result<Value> join(Runtime& runtime, const Call& call) {
    TENON_TRY(const std::vector<Value> items, runtime.iterate(call.at(0)));
    Text out;
    for (size_t i = 0; i < items.size(); ++i) {
        if (!items[i].is_string())
            return type_error(
                fmt::format("join wants str items; number {} is {}.", i, describe_value(items[i])));
        if (i != 0) out.append(self(call));
        out.append(items[i].as_text());
        TENON_CHECK(runtime.check_size(out.size()));
    }
    return runtime.make_text(std::move(out));
}

// ASCII answers; other characters count as neither digit nor letter would be a guess, so refuse.
template <bool (*holds)(char)>
Result<Value> all_are(Runtime& runtime, const Call& call) {
    const std::string& s = self(call).bytes();
    TENON_CHECK(runtime.spend(1 + s.size() / 64));
    if (!is_ascii(s))
        return Error{Code::kUnsupported,
                     "isdigit, isalpha, isalnum and isspace are supported for ASCII text only."};
    return Value::boolean(!s.empty() && std::all_of(s.begin(), s.end(), holds));
}
bool ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool ascii_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool ascii_alnum(char c) { return ascii_digit(c) || ascii_alpha(c); }
bool ascii_space(char c) { return is_space(static_cast<unsigned char>(c)); }

template <bool upper>
Result<Value> is_case(Runtime& runtime, const Call& call) {
    const Builtin* test = find_test(upper ? "upper" : "lower");
    return test->run(runtime, call);
}

Result<Value> remove_affix(Runtime& runtime, const Call& call, bool at_start) {
    TENON_TRY(const Text* affix, call.text(0));
    TENON_TRY(const Value has, has_affix(runtime, call, at_start));
    if (!has.truth()) return call.self;
    const size_t n = affix->size();
    return runtime.make_text(at_start ? self(call).slice(n, self(call).size())
                                      : self(call).slice(0, self(call).size() - n));
}
Result<Value> remove_prefix(Runtime& r, const Call& call) { return remove_affix(r, call, true); }
Result<Value> remove_suffix(Runtime& r, const Call& call) { return remove_affix(r, call, false); }

// What a field of str.format names: the next value, one by its number, or one by its name.
Result<const Value*> field_value(const Args& args, std::string_view field, size_t& next) {
    const bool numbered =
        !field.empty() && field.find_first_not_of("0123456789") == std::string_view::npos;
    if (field.empty() || numbered) {
        size_t index = next++;
        if (numbered) {
            index = 0;
            for (const char digit : field.substr(0, 6))
                index = index * 10 + static_cast<size_t>(digit - '0');
        }
        if (index < args.positional.size()) return &args.positional[index];
        return type_error(
            fmt::format("format has {} values; one more is wanted.", args.positional.size()));
    }
    for (const auto& [name, value] : args.named) {
        if (name == field) return &value;
    }
    return Error{Code::kUnsupported,
                 fmt::format("the field '{{{}}}' of format is not supported; empty ones, "
                             "numbers and names of values are.",
                             field.substr(0, 40))};
}

Result<Value> format_braces(Runtime& runtime, const Call& call) {
    const Text& form = self(call);
    const std::string_view s = form.bytes();
    Text out;
    size_t next = 0;
    for (size_t at = 0; at < s.size();) {
        const size_t brace = std::min(s.find_first_of("{}", at), s.size());
        out.append(form, at, brace);
        if (brace == s.size()) break;
        at = brace + 1;
        if (at < s.size() && s[at] == s[brace]) {
            out.append(form, at, at + 1);
            ++at;
            continue;
        }
        const size_t close = s[brace] == '{' ? s.find('}', at) : std::string_view::npos;
        if (close == std::string_view::npos)
            return type_error("format has a brace without its other one.");
        TENON_TRY(const Value* value, field_value(*call.args, s.substr(at, close - at), next));
        TENON_TRY(const Text text, runtime.to_text(*value));
        TENON_CHECK(runtime.spend(1 + text.size() / 64));
        out.append(text);
        at = close + 1;
    }
    return runtime.make_text(std::move(out));
}

constexpr Builtin kStringMethods[] = {
    {"format", "*", 0, format_braces},
    {"strip", "chars", 0, strip_both},
    {"lstrip", "chars", 0, strip_left},
    {"rstrip", "chars", 0, strip_right},
    {"upper", "", 0, change<Case::kUpper>},
    {"lower", "", 0, change<Case::kLower>},
    {"title", "", 0, change<Case::kTitle>},
    {"capitalize", "", 0, change<Case::kCapitalize>},
    {"startswith", "prefix", 1, starts_with},
    {"endswith", "suffix", 1, ends_with},
    {"replace", "old,new,count", 2, replace_method},
    {"split", "sep,maxsplit", 0, split},
    {"rsplit", "sep,maxsplit", 0, rsplit},
    {"splitlines", "keepends", 0, splitlines},
    {"find", "sub", 1, find},
    {"index", "sub", 1, index},
    {"count", "sub", 1, count},
    {"join", "iterable", 1, join},
    {"isdigit", "", 0, all_are<ascii_digit>},
    {"isalpha", "", 0, all_are<ascii_alpha>},
    {"isalnum", "", 0, all_are<ascii_alnum>},
    {"isspace", "", 0, all_are<ascii_space>},
    {"isupper", "", 0, is_case<true>},
    {"islower", "", 0, is_case<false>},
    {"removeprefix", "prefix", 1, remove_prefix},
    {"removesuffix", "suffix", 1, remove_suffix},
};

Result<Value> dict_items(Runtime& runtime, const Call& call) {
    return run_builtin(*find_filter("items"), runtime, call.self, Args());
}

Result<Value> dict_keys(Runtime& runtime, const Call& call) {
    TENON_TRY(std::vector<Value> keys, runtime.iterate(call.self));
    return runtime.make_list(std::move(keys));
}

Result<Value> dict_values(Runtime& runtime, const Call& call) {
    std::vector<Value> values;
    for (const auto& [key, value] : call.self.as_dict().items)
        values.push_back(value);
    return runtime.make_list(std::move(values));
}

Result<Value> dict_get(Runtime& runtime, const Call& call) {
    TENON_CHECK(runtime.spend(call.self.as_dict().items.size() / 16));
    if (!is_key(call.at(0)))
        return type_error(fmt::format("{} cannot be a key of a dict.", describe_value(call.at(0))));
    if (const Value* found = call.self.as_dict().find(call.at(0))) return *found;
    return call.has(1) ? call.at(1) : Value::none();
}

Result<Value> copy(Runtime&, const Call& call) { return call.self; }

// What would change a value is refused as jinja's immutable sandbox does.
Result<Value> refuse(Runtime&, const Call& call) {
    return type_error(fmt::format("a template may not change {}.", describe_value(call.self)));
}

constexpr Builtin kDictMethods[] = {
    {"items", "", 0, dict_items},   {"keys", "", 0, dict_keys},
    {"values", "", 0, dict_values}, {"get", "key,default", 1, dict_get},
    {"copy", "", 0, copy},          {"update", "*", 0, refuse},
    {"pop", "*", 0, refuse},        {"popitem", "*", 0, refuse},
    {"clear", "*", 0, refuse},      {"setdefault", "*", 0, refuse},
};

Result<Value> list_index(Runtime& runtime, const Call& call) {
    const auto& items = call.self.as_list().items;
    for (size_t i = 0; i < items.size(); ++i) {
        TENON_TRY(const bool same, runtime.equal(items[i], call.at(0)));
        if (same) return Value::integer(static_cast<int64_t>(i));
    }
    return type_error("index did not find its item.");
}

Result<Value> list_count(Runtime& runtime, const Call& call) {
    int64_t hits = 0;
    for (const Value& item : call.self.as_list().items) {
        TENON_TRY(const bool same, runtime.equal(item, call.at(0)));
        hits += same;
    }
    return Value::integer(hits);
}

constexpr Builtin kListMethods[] = {
    {"index", "value", 1, list_index},
    {"count", "value", 1, list_count},
    {"copy", "", 0, copy},
    {"append", "*", 0, refuse},
    {"extend", "*", 0, refuse},
    {"insert", "*", 0, refuse},
    {"pop", "*", 0, refuse},
    {"remove", "*", 0, refuse},
    {"reverse", "*", 0, refuse},
    {"sort", "*", 0, refuse},
    {"clear", "*", 0, refuse},
};

Result<Value> loop_cycle(Runtime&, const Call& call) {
    const auto& choices = call.args->positional;
    if (choices.empty()) return type_error("loop.cycle wants at least one value.");
    return choices[call.self.find_object<LoopObject>()->index % choices.size()];
}

constexpr Builtin kLoopMethods[] = {{"cycle", "*", 0, loop_cycle}};

}  // namespace

std::span<const Builtin> string_methods() { return kStringMethods; }
std::span<const Builtin> dict_methods() { return kDictMethods; }
std::span<const Builtin> list_methods() { return kListMethods; }
std::span<const Builtin> loop_methods() { return kLoopMethods; }

}  // namespace tenon::chat_template
