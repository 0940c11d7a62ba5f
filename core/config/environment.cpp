#include "core/config/environment.h"

#include "core/config/field_text.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <type_traits>

#include <unistd.h>

namespace tenon::config {

namespace {

using Lookup = std::function<const char*(const char*)>;

// `key` is the dotted name before this section.
template <Section T, class Config>
void read_section(Config& config, const std::string& key, const Lookup& lookup, Origins* origins,
                  Status& status) {
    T names;
    visit_fields(names, [&](const char* name, auto& field, const Constraint&, const char*) {
        using Field = std::remove_reference_t<decltype(field)>;
        const std::string variable = variable_of(key + name);
        const char* value = lookup(variable.c_str());
        std::string set = key + name;
        if constexpr (Section<Field>) {
            if (short_form<Field>().empty() || value == nullptr) {
                read_section<Field>(config, set + ".", lookup, origins, status);
                return;
            }
            set += fmt::format(".{}", short_form<Field>());
        }
        if (value == nullptr || !status.ok()) return;
        status = set_field(config, key + name, value, variable);
        if (origins != nullptr) (*origins)[set] = "$" + variable;
    });
}

template <Section T>
Status read_all(T& config, const Lookup& lookup, Origins* origins) {
    Status status;
    const Lookup process = [](const char* name) -> const char* { return std::getenv(name); };
    read_section<T>(config, "", lookup ? lookup : process, origins, status);
    return status;
}

}  // namespace

Status read_environment(EngineConfig& config, const Lookup& lookup, Origins* origins) {
    return read_all(config, lookup, origins);
}

Status read_environment(ServeConfig& config, const Lookup& lookup, Origins* origins) {
    return read_all(config, lookup, origins);
}

std::string variable_of(std::string_view field) {
    std::string variable = "TENON_";
    for (const char c : field) {
        variable += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return variable;
}

std::string read_variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

char* const* inherited_environment() noexcept { return environ; }

bool wants_color() {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return (no_color == nullptr || *no_color == '\0') && term != nullptr &&
           std::strcmp(term, "dumb") != 0;
}

}  // namespace tenon::config
