// TENON_* variables: the only place beside core/host that reads the environment.
#pragma once

#include "core/base/result.h"
#include "core/config/fields.h"

#include <functional>
#include <string>

namespace tenon::config {

// Sets each field whose variable TENON_<NAME> exists, such as TENON_THREADS. kConfig names the
// variable. `lookup` stands in for getenv in tests; null values mean absent.
Status read_environment(EngineConfig& config,
                        const std::function<const char*(const char*)>& lookup = {});

// Whether colours are wanted on a terminal: NO_COLOR is unset and TERM is not "dumb".
bool wants_color();

}  // namespace tenon::config
