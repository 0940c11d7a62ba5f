// Filters, tests, functions and methods: all of one shape, listed in *_list tables that are searched
// by name. `params` names the arguments in order ("width,first,blank"); "*" takes them as they come.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/chat_template/value.h"

namespace tenon::chat_template {

class Runtime;

struct Args {
    std::vector<Value> positional;
    std::vector<std::pair<std::string_view, Value>> named;
};

// One call, arguments already in the order of `params`.
struct Call {
    static constexpr size_t kSlots = 6;

    Value self;  // what is filtered or tested, or whose method it is
    const Args* args = nullptr;
    std::array<const Value*, kSlots> slots{};

    bool has(size_t slot) const { return slots[slot] != nullptr; }
    const Value& at(size_t slot) const { return *slots[slot]; }
    bool truth(size_t slot, bool fallback) const { return has(slot) ? at(slot).truth() : fallback; }
    // The argument as an integer; `fallback` when it is absent or none.
    Result<int64_t> integer(size_t slot, int64_t fallback) const;
    // The bytes of a string argument, which must be there.
    Result<const Text*> text(size_t slot) const;
};

struct Builtin {
    std::string_view name;
    std::string_view params;
    size_t required = 0;
    Result<Value> (*run)(Runtime& runtime, const Call& call) = nullptr;
};

// Null when there is none of that name.
const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);
const Builtin* find_function(std::string_view name);
const Builtin* find_string_method(std::string_view name);
const Builtin* find_container_method(const Value& self, std::string_view name);

// Binds `args` to the slots and runs the builtin.
Result<Value> run_builtin(const Builtin& builtin, Runtime& runtime, Value self, const Args& args);

// A builtin as a value; with `self` when it is a method of something.
struct Function : Object {
    Function(const Builtin* entry, Value owner) : builtin(entry), self(std::move(owner)) {}
    std::string_view type_name() const override { return "builtin function"; }
    uint32_t depth() const override { return self.depth() + 1; }
    const Builtin* builtin;
    Value self;
};

}  // namespace tenon::chat_template
