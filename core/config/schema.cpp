// The JSON Schema of field_list.h.
#include "core/base/json_writer.h"
#include "core/config/field_list.h"
#include "core/config/field_text.h"

#include <type_traits>

namespace tenon::config {

namespace {

constexpr const char* kTimePattern = "^[1-9][0-9]*(ms|s|m|h)$";

void describe(JsonWriter& out, bool field, const Constraint&) {
    out.field("type", "boolean").field("default", field);
}

void describe(JsonWriter& out, uint32_t field, const Constraint& limit) {
    out.field("type", "integer").field("minimum", limit.min);
    out.field("maximum", limit.max != 0 ? limit.max : int64_t{UINT32_MAX}).field("default", field);
}

void describe(JsonWriter& out, double field, const Constraint& limit) {
    out.field("type", "number").field("minimum", limit.min).field("maximum", limit.max);
    out.field("default", field);
}

void describe(JsonWriter& out, Duration field, const Constraint&) {
    out.field("type", "string").field("pattern", kTimePattern).field("default", text_of(field));
}

void describe(JsonWriter& out, const std::string& field, const Constraint& limit) {
    out.field("type", "string");
    if (!limit.choices.empty()) out.array("enum", limit.choices);
    out.field("default", field);
}

void describe(JsonWriter& out, const std::vector<std::string>& field, const Constraint& limit) {
    out.field("type", "array").key("items").begin_object().field("type", "string");
    if (!limit.choices.empty()) out.array("enum", limit.choices);
    out.end_object().array("default", field);
}

void describe(JsonWriter& out, const std::map<std::string, Duration>&, const Constraint&) {
    out.field("type", "object").key("additionalProperties").begin_object();
    out.field("type", "string").field("pattern", kTimePattern).end_object();
}

// A plugin's options are checked by the plugin: here any scalar is right.
void describe(JsonWriter& out, const std::map<std::string, PluginOptions>&, const Constraint&) {
    out.field("type", "object").key("additionalProperties").begin_object();
    out.field("type", "object").key("additionalProperties").begin_object();
    out.key("type").begin_array().value("string").value("number").value("boolean").end_array();
    out.end_object().end_object();
}

template <Section T>
void properties(JsonWriter& out, T& section);

template <Section T>
void describe(JsonWriter& out, T& section, const Constraint&) {
    if constexpr (!short_form<T>().empty()) {
        out.key("anyOf").begin_array();
        visit_fields(section,
                     [&](const char* name, auto& field, const Constraint& limit, const char*) {
                         if (name != short_form<T>()) return;
                         out.begin_object();
                         describe(out, field, limit);
                         out.end_object();
                     });
        out.begin_object();
        properties(out, section);
        out.end_object().end_array();
    } else {
        properties(out, section);
    }
}

template <Section T>
void properties(JsonWriter& out, T& section) {
    out.field("type", "object").field("additionalProperties", false);
    out.key("properties").begin_object();
    visit_fields(section,
                 [&](const char* name, auto& field, const Constraint& limit, const char* text) {
                     out.key(name).begin_object().field("description", text);
                     if (*limit.unit != '\0') out.field("x-unit", limit.unit);
                     describe(out, field, limit);
                     out.end_object();
                 });
    out.end_object();
}

// The same JSON, a line for each value.
std::string indented(const std::string& json) {
    std::string out;
    size_t depth = 0;
    bool in_text = false;
    const auto line = [&] { out += '\n' + std::string(2 * depth, ' '); };
    for (size_t i = 0; i < json.size(); ++i) {
        const char c = json[i];
        if (in_text) {
            out += c;
            if (c == '\\') {
                out += json[++i];
            } else if (c == '"') {
                in_text = false;
            }
        } else if (c == '{' || c == '[') {
            out += c;
            if (json[i + 1] == (c == '{' ? '}' : ']')) {
                out += json[++i];
            } else {
                ++depth;
                line();
            }
        } else if (c == '}' || c == ']') {
            --depth;
            line();
            out += c;
        } else {
            in_text = c == '"';
            out += c;
            if (c == ',') line();
            if (c == ':') out += ' ';
        }
    }
    return out + '\n';
}

}  // namespace

std::string json_schema() {
    ServeConfig config;
    JsonWriter out;
    out.begin_object().field("$schema", "https://json-schema.org/draft/2020-12/schema");
    out.field("title", "Configuration of tenon");
    properties(out, config);
    out.end_object();
    return indented(out.text());
}

}  // namespace tenon::config
