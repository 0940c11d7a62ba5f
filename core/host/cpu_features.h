// What this processor can execute, with the operating system's consent (cpuid and xgetbv).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace tenon::host {

// Names a manifest's cpu_requires may use on this machine.
const std::vector<std::string_view>& known_cpu_features();

// The names of `required` that this processor lacks. kUnsupported names one that is not known here.
Result<std::vector<std::string>> missing_cpu_features(const std::vector<std::string>& required);

}  // namespace tenon::host
