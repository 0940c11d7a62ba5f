// TENON_* variables: the only place beside core/host that reads the environment.
#pragma once

#include "core/base/result.h"
#include "core/config/fields.h"
#include "core/config/serve_config.h"
#include "core/config/yaml.h"

#include <functional>
#include <string>
#include <string_view>

namespace tenon::config {

// Sets each field whose variable TENON_<NAME> exists, such as TENON_THREADS, or for a nested one
// TENON_<SECTION>_<NAME>. kConfig names the variable. `lookup` stands in for getenv in tests; null
// values mean absent. `origins` gets each field that was set; null: nobody asks.
Status read_environment(EngineConfig& config,
                        const std::function<const char*(const char*)>& lookup = {},
                        Origins* origins = nullptr);
Status read_environment(ServeConfig& config,
                        const std::function<const char*(const char*)>& lookup = {},
                        Origins* origins = nullptr);

// TENON_<SECTION>_<NAME> of a dotted field.
std::string variable_of(std::string_view field);

// A variable that is not one of ours, such as NOTIFY_SOCKET; empty when it is absent.
std::string read_variable(const char* name);

// The variables of this process, "NAME=value" each, then null: what a child process inherits.
char* const* inherited_environment() noexcept;

// Whether colours are wanted on a terminal: NO_COLOR is unset and TERM is not "dumb".
bool wants_color();

}  // namespace tenon::config
