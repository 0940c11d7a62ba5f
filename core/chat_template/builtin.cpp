#include "core/chat_template/builtin.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/chat_template/runtime.h"

namespace tenon::chat_template {

Result<int64_t> Call::integer(size_t slot, int64_t fallback) const {
    if (!has(slot) || at(slot).is(Value::Kind::kNone)) return fallback;
    if (!at(slot).is_integral()) {
        return Error{Code::kInvalid, fmt::format("argument {} is a {}; an int was wanted.",
                                                 slot + 1, at(slot).type_name())};
    }
    return at(slot).as_integer();
}

Result<const Text*> Call::text(size_t slot) const {
    if (!has(slot) || !at(slot).is_string()) {
        return Error{Code::kInvalid,
                     fmt::format("argument {} is a {}; a str was wanted.", slot + 1,
                                 has(slot) ? at(slot).type_name() : "missing value")};
    }
    return &at(slot).as_text();
}

Result<Value> run_builtin(const Builtin& builtin, Runtime& runtime, Value self, const Args& args) {
    TENON_CHECK(runtime.spend(1));
    Call call;
    call.self = std::move(self);
    call.args = &args;
    if (builtin.params != "*") {
        size_t slot = 0;
        std::string_view rest = builtin.params;
        for (; !rest.empty(); ++slot) {
            const size_t comma = std::min(rest.find(','), rest.size());
            const std::string_view name = rest.substr(0, comma);
            rest.remove_prefix(std::min(comma + 1, rest.size()));
            if (slot < args.positional.size()) call.slots[slot] = &args.positional[slot];
            for (const auto& [key, value] : args.named) {
                if (key != name) continue;
                if (call.slots[slot] != nullptr) {
                    return Error{Code::kInvalid, fmt::format("'{}' got its argument '{}' twice.",
                                                             builtin.name, name)};
                }
                call.slots[slot] = &value;
            }
            if (slot < builtin.required && call.slots[slot] == nullptr) {
                return Error{Code::kInvalid,
                             fmt::format("'{}' misses its argument '{}'.", builtin.name, name)};
            }
        }
        if (args.positional.size() > slot) {
            return Error{Code::kInvalid, fmt::format("'{}' takes at most {} arguments and got {}.",
                                                     builtin.name, slot, args.positional.size())};
        }
        for (const auto& [key, value] : args.named) {
            const std::string wrapped = fmt::format(",{},", builtin.params);
            if (wrapped.find(fmt::format(",{},", key)) == std::string::npos) {
                return Error{Code::kUnsupported,
                             fmt::format("'{}' has no argument '{}'.", builtin.name, key)};
            }
        }
    }
    return builtin.run(runtime, call);
}

}  // namespace tenon::chat_template
