// The `loop` of a for statement.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "core/chat_template/value.h"

namespace tenon::chat_template {

struct LoopObject : Object {
    std::vector<Value> items;
    size_t index = 0;          // of the item in the body, from 0
    int64_t level = 1;         // loops around the body
    uint32_t items_depth = 0;  // deepest of the items

    std::string_view type_name() const override { return "loop"; }
    bool callable() const override { return false; }
    uint32_t depth() const override { return items_depth + 1; }

    Value attribute(std::string_view name) const {
        const auto at = static_cast<int64_t>(index);
        const auto size = static_cast<int64_t>(items.size());
        if (name == "index") return Value::integer(at + 1);
        if (name == "index0") return Value::integer(at);
        if (name == "revindex") return Value::integer(size - at);
        if (name == "revindex0") return Value::integer(size - at - 1);
        if (name == "first") return Value::boolean(at == 0);
        if (name == "last") return Value::boolean(at + 1 == size);
        if (name == "length") return Value::integer(size);
        if (name == "depth") return Value::integer(level);
        if (name == "depth0") return Value::integer(level - 1);
        if (name == "previtem")
            return at > 0 ? items[index - 1] : Value::undefined("there is no previous item");
        if (name == "nextitem")
            return at + 1 < size ? items[index + 1] : Value::undefined("there is no next item");
        return Value::undefined(fmt::format("'loop' has no attribute '{}'", name.substr(0, 80)));
    }
};

}  // namespace tenon::chat_template
