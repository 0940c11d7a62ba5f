// Where the builtins are: one table per file. builtin_list.cpp searches them in this order.
#pragma once

#include <span>

#include "core/chat_template/builtin.h"

namespace tenon::chat_template {

std::span<const Builtin> text_filters();
std::span<const Builtin> number_filters();
std::span<const Builtin> sequence_filters();
std::span<const Builtin> selection_filters();
std::span<const Builtin> json_filters();
std::span<const Builtin> value_tests();
std::span<const Builtin> string_methods();
std::span<const Builtin> dict_methods();
std::span<const Builtin> list_methods();
std::span<const Builtin> loop_methods();
std::span<const Builtin> functions();

}  // namespace tenon::chat_template
