#include <fmt/format.h>

#include <algorithm>

#include "core/chat_template/builtin_tables.h"
#include "core/chat_template/runtime.h"

namespace tenon::chat_template {

namespace {

using Kind = Value::Kind;

Result<Value> length(Runtime& runtime, const Call& call) {
    TENON_TRY(const int64_t size, runtime.length(call.self));
    return Value::integer(size);
}

Result<Value> first(Runtime& runtime, const Call& call) {
    TENON_TRY(std::vector<Value> items, runtime.iterate(call.self));
    if (items.empty()) return Value::undefined("there is no first item, the sequence was empty");
    return std::move(items.front());
}

Result<Value> last(Runtime& runtime, const Call& call) {
    TENON_TRY(std::vector<Value> items, runtime.iterate(call.self));
    if (items.empty()) return Value::undefined("there is no last item, the sequence was empty");
    return std::move(items.back());
}

Result<Value> list_filter(Runtime& runtime, const Call& call) {
    TENON_TRY(std::vector<Value> items, runtime.iterate(call.self));
    return runtime.make_list(std::move(items));
}

Result<Value> join(Runtime& runtime, const Call& call) {
    TENON_TRY(const std::vector<Value> items, runtime.iterate(call.self));
    Text separator;
    if (call.has(0)) {
        TENON_TRY(separator, runtime.to_text(call.at(0)));
    }
    Text out;
    for (size_t i = 0; i < items.size(); ++i) {
        Value item = items[i];
        if (call.has(1) && !call.at(1).is(Kind::kNone)) {
            TENON_TRY(item, runtime.path(item, call.at(1)));
        }
        if (i != 0) out.append(separator);
        TENON_TRY(const Text piece, runtime.to_text(item));
        out.append(piece);
        TENON_CHECK(runtime.check_size(out.size()));
    }
    return runtime.make_text(std::move(out));
}

Result<Value> reverse(Runtime& runtime, const Call& call) {
    if (call.self.is_string()) {
        const Value step = Value::integer(-1);
        return runtime.slice(call.self, nullptr, nullptr, &step);
    }
    TENON_TRY(std::vector<Value> items, runtime.iterate(call.self));
    std::reverse(items.begin(), items.end());
    return runtime.make_list(std::move(items));
}

// What an item is ordered by: the values at the comma separated paths, lower case unless asked.
Result<Value> sort_key(Runtime& runtime, const Value& item, const Value* attribute,
                       bool case_sensitive) {
    const auto fold = [&](Value value) -> Result<Value> {
        if (case_sensitive || !value.is_string()) return value;
        return runtime.make_text(change_case(value.as_text(), Case::kLower));
    };
    if (attribute == nullptr || attribute->is(Kind::kNone)) return fold(item);
    if (!attribute->is_string()) {
        TENON_TRY(Value value, runtime.path(item, *attribute));
        return fold(std::move(value));
    }
    std::vector<Value> keys;
    std::string_view rest = attribute->as_text().bytes();
    for (;;) {
        const size_t comma = std::min(rest.find(','), rest.size());
        TENON_TRY(Value value,
                  runtime.path(item, Value::trusted(std::string(rest.substr(0, comma)))));
        TENON_TRY(value, fold(std::move(value)));
        keys.push_back(std::move(value));
        if (comma == rest.size()) break;
        rest.remove_prefix(comma + 1);
    }
    return keys.size() == 1 ? std::move(keys[0]) : Value::list(std::move(keys));
}

struct Keyed {
    Value key;
    Value item;
};

// Stable merge sort: std::stable_sort must not see a comparison that fails half way.
Status sort_keyed(Runtime& runtime, std::vector<Keyed>& items, bool reverse) {
    std::vector<Keyed> merged(items.size());
    for (size_t width = 1; width < items.size(); width *= 2) {
        for (size_t begin = 0; begin < items.size(); begin += 2 * width) {
            const size_t middle = std::min(begin + width, items.size());
            const size_t end = std::min(begin + 2 * width, items.size());
            size_t a = begin;
            size_t b = middle;
            for (size_t out = begin; out < end; ++out) {
                bool take_right = a == middle;
                if (a < middle && b < end) {
                    TENON_TRY(const int order, runtime.compare(items[b].key, items[a].key));
                    take_right = reverse ? order > 0 : order < 0;
                }
                merged[out] = std::move(items[take_right ? b++ : a++]);
            }
        }
        items.swap(merged);
    }
    return {};
}

Result<std::vector<Keyed>> key_items(Runtime& runtime, const Call& call, const Value* attribute,
                                     bool case_sensitive) {
    TENON_TRY(std::vector<Value> items, runtime.iterate(call.self));
    std::vector<Keyed> keyed;
    for (Value& item : items) {
        TENON_TRY(Value key, sort_key(runtime, item, attribute, case_sensitive));
        keyed.push_back({std::move(key), std::move(item)});
    }
    return keyed;
}

Result<Value> sort(Runtime& runtime, const Call& call) {
    TENON_TRY(std::vector<Keyed> keyed,
              key_items(runtime, call, call.slots[2], call.truth(1, false)));
    // In a list as jinja keeps it: equal keys need no order.
    for (Keyed& entry : keyed)
        entry.key = Value::list({std::move(entry.key)});
    TENON_CHECK(sort_keyed(runtime, keyed, call.truth(0, false)));
    std::vector<Value> items;
    for (Keyed& entry : keyed)
        items.push_back(std::move(entry.item));
    return runtime.make_list(std::move(items));
}

Result<Value> dictsort(Runtime& runtime, const Call& call) {
    if (!call.self.is(Kind::kDict))
        return type_error(
            fmt::format("'dictsort' wants a dict, not {}.", describe_value(call.self)));
    bool by_value = false;
    if (call.has(1)) {
        TENON_TRY(const Text* by, call.text(1));
        by_value = by->bytes() == "value";
        if (!by_value && by->bytes() != "key")
            return type_error("'dictsort' sorts by 'key' or 'value'.");
    }
    std::vector<Keyed> keyed;
    for (const auto& [key, value] : call.self.as_dict().items) {
        TENON_TRY(Value order,
                  sort_key(runtime, by_value ? value : key, nullptr, call.truth(0, false)));
        TENON_TRY(Value pair, runtime.make_list({key, value}, true));
        keyed.push_back({std::move(order), std::move(pair)});
    }
    TENON_CHECK(sort_keyed(runtime, keyed, call.truth(2, false)));
    std::vector<Value> items;
    for (Keyed& entry : keyed)
        items.push_back(std::move(entry.item));
    return runtime.make_list(std::move(items));
}

Result<Value> unique(Runtime& runtime, const Call& call) {
    TENON_TRY(std::vector<Keyed> keyed,
              key_items(runtime, call, call.slots[1], call.truth(0, false)));
    std::vector<Value> seen;
    std::vector<Value> items;
    for (Keyed& entry : keyed) {
        const bool mutable_key = entry.key.is(Kind::kDict) ||
                                 (entry.key.is(Kind::kList) && !entry.key.as_list().is_tuple);
        if (mutable_key)
            return type_error(
                fmt::format("'unique' cannot compare {}.", describe_value(entry.key)));
        bool known = false;
        for (const Value& other : seen) {
            TENON_TRY(known, runtime.equal(entry.key, other));
            if (known) break;
        }
        if (known) continue;
        seen.push_back(std::move(entry.key));
        items.push_back(std::move(entry.item));
    }
    return runtime.make_list(std::move(items));
}

Result<Value> extreme(Runtime& runtime, const Call& call, int sign) {
    TENON_TRY(std::vector<Keyed> keyed,
              key_items(runtime, call, call.slots[1], call.truth(0, false)));
    if (keyed.empty()) return Value::undefined("there is no item, the sequence was empty");
    size_t best = 0;
    for (size_t i = 1; i < keyed.size(); ++i) {
        TENON_TRY(const int order, runtime.compare(keyed[i].key, keyed[best].key));
        if (order * sign > 0) best = i;
    }
    return std::move(keyed[best].item);
}

Result<Value> min_filter(Runtime& runtime, const Call& call) { return extreme(runtime, call, -1); }
Result<Value> max_filter(Runtime& runtime, const Call& call) { return extreme(runtime, call, 1); }

Result<Value> default_filter(Runtime&, const Call& call) {
    const Value fallback = call.has(0) ? call.at(0) : Value::trusted("");
    if (call.self.is_undefined() || (call.truth(1, false) && !call.self.truth())) return fallback;
    return call.self;
}

Result<Value> items_filter(Runtime& runtime, const Call& call) {
    if (call.self.is_undefined()) return runtime.make_list({});
    if (!call.self.is(Kind::kDict))
        return type_error(fmt::format("'items' wants a dict, not {}.", describe_value(call.self)));
    std::vector<Value> items;
    for (const auto& [key, value] : call.self.as_dict().items) {
        TENON_TRY(Value pair, runtime.make_list({key, value}, true));
        items.push_back(std::move(pair));
    }
    return runtime.make_list(std::move(items));
}

Result<Value> attr(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text* name, call.text(0));
    if (call.self.is(Kind::kDict) && find_container_method(call.self, name->bytes()) == nullptr) {
        return Value::undefined(
            fmt::format("a dict has no attribute '{}'", name->bytes().substr(0, 80)));
    }
    return runtime.attribute(call.self, name->bytes());
}

Result<Value> batch(Runtime& runtime, const Call& call) {
    TENON_TRY(const std::vector<Value> items, runtime.iterate(call.self));
    TENON_TRY(const int64_t width, call.integer(0, 1));
    if (width < 1 || width > runtime.limits().range)
        return type_error("'batch' wants a width of at least 1.");
    std::vector<Value> rows;
    for (size_t i = 0; i < items.size(); i += static_cast<size_t>(width)) {
        std::vector<Value> row(items.begin() + static_cast<ptrdiff_t>(i),
                               items.begin() + static_cast<ptrdiff_t>(std::min(
                                                   i + static_cast<size_t>(width), items.size())));
        if (call.has(1) && !call.at(1).is(Kind::kNone))
            row.resize(static_cast<size_t>(width), call.at(1));
        TENON_TRY(Value made, runtime.make_list(std::move(row)));
        rows.push_back(std::move(made));
    }
    return runtime.make_list(std::move(rows));
}

constexpr Builtin kTable[] = {
    {"length", "", 0, length},
    {"count", "", 0, length},
    {"first", "", 0, first},
    {"last", "", 0, last},
    {"list", "", 0, list_filter},
    {"join", "d,attribute", 0, join},
    {"reverse", "", 0, reverse},
    {"sort", "reverse,case_sensitive,attribute", 0, sort},
    {"dictsort", "case_sensitive,by,reverse", 0, dictsort},
    {"unique", "case_sensitive,attribute", 0, unique},
    {"min", "case_sensitive,attribute", 0, min_filter},
    {"max", "case_sensitive,attribute", 0, max_filter},
    {"default", "default_value,boolean", 0, default_filter},
    {"d", "default_value,boolean", 0, default_filter},
    {"items", "", 0, items_filter},
    {"attr", "name", 1, attr},
    {"batch", "linecount,fill_with", 1, batch},
};

}  // namespace

std::span<const Builtin> sequence_filters() { return kTable; }

}  // namespace tenon::chat_template
