// What one render may touch: fuel, caps, the clock it was given, and the semantics of Python's values
// that tree walking and builtins share. Lives for one render, on one thread.
#pragma once

#include <ctime>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/chat_template/limits.h"
#include "core/chat_template/value.h"

namespace tenon::chat_template {

class Runtime {
public:
    // `input_bytes`: template and context together; sets the cap on output and strings.
    Runtime(const Limits& limits, size_t input_bytes, const std::tm& now);
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    const Limits& limits() const { return limits_; }
    const std::tm& now() const { return now_; }
    size_t text_cap() const { return text_cap_; }

    // Takes fuel; an error when it is used up.
    Status spend(uint64_t ops);
    Status check_size(size_t bytes) const;

    // Values made by the template, charged and capped.
    Result<Value> make_text(Text text);
    Result<Value> make_list(std::vector<Value> items, bool is_tuple = false);
    Result<Value> make_dict(std::vector<std::pair<Value, Value>> items);
    Value make_namespace();

    // ==, and <=> of Python: negative, 0, positive. Ordering refuses types that have no order.
    Result<bool> equal(const Value& a, const Value& b);
    Result<int> compare(const Value& a, const Value& b);
    Result<bool> contains(const Value& needle, const Value& hay);

    // a.name and a[key] as jinja resolves them: undefined when there is none.
    Result<Value> attribute(const Value& value, std::string_view name);
    Result<Value> item(const Value& value, const Value& key);
    // "a.b.0" of filters that take attribute=.
    Result<Value> path(const Value& value, const Value& dotted);
    Result<Value> slice(const Value& value, const Value* from, const Value* to, const Value* step);

    // Items of a list, keys of a dict, characters of a string; nothing for undefined.
    Result<std::vector<Value>> iterate(const Value& value);
    Result<int64_t> length(const Value& value);
    // str(value), and what repr(value) adds to `out`.
    Result<Text> to_text(const Value& value);
    Status repr(const Value& value, Text& out, uint32_t depth = 0);

private:
    Limits limits_;
    size_t text_cap_;
    std::tm now_;
    uint64_t fuel_;
    std::vector<std::shared_ptr<Namespace>>
        namespaces_;  // emptied at the end: they may hold themselves
};

// "the int 3" or the like for messages; user text is cut short.
std::string describe_value(const Value& value);
Error type_error(std::string message);
// The error of using an undefined value.
Error undefined_error(const Value& value);

}  // namespace tenon::chat_template
