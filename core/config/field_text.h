// A field from text and back, one overload per type of field.
#pragma once

#include "core/base/result.h"
#include "core/config/fields.h"
#include "core/config/serve_config.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::config {

// Sets `field`; on error it keeps its value and the sentence says what was wanted. A list takes one
// more entry.
Status assign(bool& field, std::string_view text, const Constraint& limit);
Status assign(uint32_t& field, std::string_view text, const Constraint& limit);
Status assign(double& field, std::string_view text, const Constraint& limit);
Status assign(Duration& field, std::string_view text, const Constraint& limit);
Status assign(std::string& field, std::string_view text, const Constraint& limit);
Status assign(std::vector<std::string>& field, std::string_view text, const Constraint& limit);
// Maps have no form as one text: always an error.
Status assign(std::map<std::string, PluginOptions>& field, std::string_view text,
              const Constraint& limit);
Status assign(std::map<std::string, Duration>& field, std::string_view text,
              const Constraint& limit);

// What assign() takes back: "90s", "0.9", "true".
std::string text_of(bool field);
std::string text_of(uint32_t field);
std::string text_of(double field);
std::string text_of(Duration field);
std::string text_of(const std::string& field);

// A struct of fields of its own: a nested map of YAML.
template <class T>
concept Section = requires(T& section) {
    visit_fields(section, [](const char*, auto&, const Constraint&, const char*) {});
};

// The field that a section's short form means: `tls: offloaded` for `tls: {mode: offloaded}`.
// Empty: it has none.
template <class T>
constexpr std::string_view short_form() {
    if constexpr (requires { T::kShortForm; }) {
        return T::kShortForm;
    } else {
        return {};
    }
}

// Names of a section's fields, in order.
template <Section T>
std::vector<std::string> field_names() {
    std::vector<std::string> names;
    T section;
    visit_fields(section, [&](const char* name, auto&, const Constraint&, const char*) {
        names.emplace_back(name);
    });
    return names;
}

}  // namespace tenon::config
