#include "core/config/environment.h"

#include "core/config/field_text.h"
#include "core/config/yaml.h"

#include <cstdlib>
#include <cstring>
#include <type_traits>

#include <unistd.h>

namespace tenon::config {

namespace {

using Lookup = std::function<const char*(const char*)>;

// `key` is the dotted name before this section, `variable` the same in capitals.
template <Section T, class Config>
void read_section(Config& config, const std::string& key, const std::string& variable,
                  const Lookup& lookup, Status& status) {
    T names;
    visit_fields(names, [&](const char* name, auto& field, const Constraint&, const char*) {
        using Field = std::remove_reference_t<decltype(field)>;
        std::string own = variable;
        for (const char* c = name; *c != '\0'; ++c)
            own += *c >= 'a' && *c <= 'z' ? static_cast<char>(*c - 'a' + 'A') : *c;
        if constexpr (Section<Field>) {
            if (short_form<Field>().empty() || lookup(own.c_str()) == nullptr) {
                read_section<Field>(config, key + name + ".", own + "_", lookup, status);
                return;
            }
        }
        const char* value = lookup(own.c_str());
        if (value != nullptr && status.ok()) status = set_field(config, key + name, value, own);
    });
}

template <Section T>
Status read_all(T& config, const Lookup& lookup) {
    Status status;
    const Lookup process = [](const char* name) -> const char* { return std::getenv(name); };
    read_section<T>(config, "", "TENON_", lookup ? lookup : process, status);
    return status;
}

}  // namespace

Status read_environment(EngineConfig& config, const Lookup& lookup) {
    return read_all(config, lookup);
}

Status read_environment(ServeConfig& config, const Lookup& lookup) {
    return read_all(config, lookup);
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
