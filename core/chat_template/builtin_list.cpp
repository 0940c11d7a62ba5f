#include "core/chat_template/builtin_tables.h"
#include "core/chat_template/loop.h"

namespace tenon::chat_template {

namespace {

const Builtin* find_in(std::span<const Builtin> table, std::string_view name) {
    for (const Builtin& builtin : table) {
        if (builtin.name == name) return &builtin;
    }
    return nullptr;
}

}  // namespace

const Builtin* find_filter(std::string_view name) {
    for (const auto& table : {text_filters(), sequence_filters(), selection_filters(),
                              number_filters(), json_filters()}) {
        if (const Builtin* found = find_in(table, name)) return found;
    }
    return nullptr;
}

const Builtin* find_test(std::string_view name) { return find_in(value_tests(), name); }

const Builtin* find_function(std::string_view name) { return find_in(functions(), name); }

const Builtin* find_string_method(std::string_view name) { return find_in(string_methods(), name); }

const Builtin* find_container_method(const Value& self, std::string_view name) {
    if (self.is(Value::Kind::kDict)) return find_in(dict_methods(), name);
    if (self.is(Value::Kind::kList)) return find_in(list_methods(), name);
    if (self.find_object<LoopObject>() != nullptr) return find_in(loop_methods(), name);
    return nullptr;
}

}  // namespace tenon::chat_template
