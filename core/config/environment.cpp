#include "core/config/environment.h"

#include "core/config/yaml.h"

#include <cstdlib>
#include <cstring>

namespace tenon::config {

Status read_environment(EngineConfig& config,
                        const std::function<const char*(const char*)>& lookup) {
    Status status;
    EngineConfig names;
    visit_fields(names, [&](const char* name, auto&, const Constraint&, const char*) {
        std::string variable = "TENON_";
        for (const char* c = name; *c != '\0'; ++c) {
            variable += *c >= 'a' && *c <= 'z' ? static_cast<char>(*c - 'a' + 'A') : *c;
        }
        const char* value = lookup ? lookup(variable.c_str()) : std::getenv(variable.c_str());
        if (value != nullptr && status.ok()) status = set_field(config, name, value, variable);
    });
    return status;
}

bool wants_color() {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return (no_color == nullptr || *no_color == '\0') && term != nullptr &&
           std::strcmp(term, "dumb") != 0;
}

}  // namespace tenon::config
