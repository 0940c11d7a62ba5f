// Names every template can call.
#include <fmt/format.h>

#include <ctime>

#include "core/chat_template/builtin_tables.h"
#include "core/chat_template/runtime.h"
#include "core/chat_template/template.h"

namespace tenon::chat_template {

namespace {

Result<Value> range(Runtime& runtime, const Call& call) {
    TENON_TRY(const int64_t a, call.integer(0, 0));
    TENON_TRY(const int64_t b, call.integer(1, 0));
    TENON_TRY(const int64_t step, call.integer(2, 1));
    const int64_t first = call.has(1) ? a : 0;
    const int64_t last = call.has(1) ? b : a;
    if (step == 0) return type_error("range got the step 0.");
    const double count =
        (static_cast<double>(last) - static_cast<double>(first)) / static_cast<double>(step);
    if (count > static_cast<double>(runtime.limits().range)) {
        return type_error(
            fmt::format("range asks for more than {} items.", runtime.limits().range));
    }
    std::vector<Value> items;
    int64_t i = first;
    while (step > 0 ? i < last : i > last) {
        items.push_back(Value::integer(i));
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    return runtime.make_list(std::move(items));
}

Status put_all(Runtime& runtime, const Call& call, std::vector<std::pair<Value, Value>>& items) {
    const auto put = [&](const Value& key, const Value& value) -> Status {
        TENON_CHECK(runtime.spend(1 + items.size() / 16));
        if (!is_key(key))
            return type_error(fmt::format("{} cannot be a key of a dict.", describe_value(key)));
        Dict::put(items, key, value);
        if (items.size() <= runtime.limits().dict_entries) return {};
        return type_error(
            fmt::format("a dict has more than {} entries.", runtime.limits().dict_entries));
    };
    if (call.args->positional.size() > 1)
        return type_error("dict takes at most one value without a name.");
    for (const Value& source : call.args->positional) {
        if (source.is(Value::Kind::kDict)) {
            for (const auto& [key, value] : source.as_dict().items)
                TENON_CHECK(put(key, value));
            continue;
        }
        TENON_TRY(const std::vector<Value> pairs, runtime.iterate(source));
        for (const Value& pair : pairs) {
            TENON_TRY(const std::vector<Value> two, runtime.iterate(pair));
            if (two.size() != 2) return type_error("dict wants pairs of key and value.");
            TENON_CHECK(put(two[0], two[1]));
        }
    }
    for (const auto& [name, value] : call.args->named)
        TENON_CHECK(put(Value::trusted(std::string(name)), value));
    return {};
}

Result<Value> dict(Runtime& runtime, const Call& call) {
    std::vector<std::pair<Value, Value>> items;
    TENON_CHECK(put_all(runtime, call, items));
    return runtime.make_dict(std::move(items));
}

Result<Value> name_space(Runtime& runtime, const Call& call) {
    std::vector<std::pair<Value, Value>> items;
    TENON_CHECK(put_all(runtime, call, items));
    Value names = runtime.make_namespace();
    for (auto& [key, value] : items) {
        if (key.is_string()) names.as_namespace().set(key.as_text().bytes(), std::move(value));
    }
    return names;
}

constexpr std::string_view kRefusal = "the template refuses this conversation";

Result<Value> raise_exception(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.at(0)));
    const std::string shown = text.bytes().substr(0, offset_of_point(text.bytes(), 300));
    return Error{Code::kInvalid, fmt::format("{}: {}", kRefusal, shown)};
}

Result<Value> strftime_now(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text* format, call.text(0));
    if (format->empty()) return Value::trusted("");
    if (format->size() > 200)
        return type_error("strftime_now takes a format of at most 200 bytes.");
    char buffer[4096];
    const size_t size =
        std::strftime(buffer, sizeof(buffer), format->bytes().c_str(), &runtime.now());
    return runtime.make_text(Text::trusted(std::string(buffer, size)));
}

constexpr Builtin kTable[] = {
    {"range", "start,stop,step", 1, range},      {"dict", "*", 0, dict},
    {"namespace", "*", 0, name_space},           {"raise_exception", "message", 1, raise_exception},
    {"strftime_now", "format", 1, strftime_now},
};

}  // namespace

std::span<const Builtin> functions() { return kTable; }

bool is_refusal(const Error& error) noexcept {
    return error.message.find(kRefusal) != std::string::npos;
}

}  // namespace tenon::chat_template
