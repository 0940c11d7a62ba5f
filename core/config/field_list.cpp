#include "core/config/field_list.h"

#include "core/config/field_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

namespace tenon::config {

namespace {

const char* type_of(bool) { return "true or false"; }
const char* type_of(uint32_t) { return "whole number"; }
const char* type_of(double) { return "number"; }
const char* type_of(const Duration&) { return "time"; }
const char* type_of(const std::string&) { return "text"; }
const char* type_of(const std::vector<std::string>&) { return "list of texts"; }
const char* type_of(const std::map<std::string, Duration>&) { return "map of routes to times"; }
const char* type_of(const std::map<std::string, PluginOptions>&) {
    return "map of plugins to their options";
}

template <class T>
std::string value_of(const T& field) {
    return text_of(field);
}
std::string value_of(const std::string& field) { return field.empty() ? "\"\"" : field; }
std::string value_of(const std::vector<std::string>& field) {
    return fmt::format("[{}]", fmt::join(field, ", "));
}
std::string value_of(const std::map<std::string, Duration>& field) {
    std::string text;
    for (const auto& [route, time] : field)
        text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", route, text_of(time));
    return "{" + text + "}";
}
std::string value_of(const std::map<std::string, PluginOptions>& field) {
    std::string text;
    for (const auto& [plugin, options] : field) {
        for (const auto& [key, value] : options)
            text += fmt::format("{}{}.{}: {}", text.empty() ? "" : ", ", plugin, key, value);
    }
    return "{" + text + "}";
}

template <Section T>
void append(T& section, const std::string& path, std::vector<FieldInfo>& list) {
    visit_fields(
        section, [&](const char* name, auto& field, const Constraint& limit, const char* text) {
            using Field = std::remove_reference_t<decltype(field)>;
            if constexpr (Section<Field>) {
                append(field, path + name + ".", list);
            } else {
                list.push_back({path + name, type_of(field), limit, text, value_of(field)});
            }
        });
}

}  // namespace

std::vector<FieldInfo> list_fields(const ServeConfig& config) {
    // The visitor wants fields it could change; a copy is changed by nobody.
    ServeConfig copy = config;
    std::vector<FieldInfo> list;
    append(copy, "", list);
    return list;
}

const FieldInfo* find_field(const std::vector<FieldInfo>& list, std::string_view key) {
    const auto found = std::find_if(list.begin(), list.end(),
                                    [&](const FieldInfo& field) { return field.key == key; });
    return found == list.end() ? nullptr : &*found;
}

std::string limits_text(const FieldInfo& field) {
    if (!field.limit.choices.empty()) {
        return fmt::format("one of {}", fmt::join(field.limit.choices, ", "));
    }
    const std::string unit = *field.limit.unit != '\0' ? fmt::format(" {}", field.limit.unit) : "";
    if (field.type == "time") return fmt::format("1ms to {}", text_of(Duration{Duration::kMsMax}));
    if (field.limit.max != 0) {
        return fmt::format("{} to {}{}", field.limit.min, field.limit.max, unit);
    }
    return field.type == "whole number"
               ? fmt::format("{} to {}{}", field.limit.min, UINT32_MAX, unit)
               : "";
}

}  // namespace tenon::config
