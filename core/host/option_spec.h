// One setting that a plugin declares in its manifest, and what may be written there.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace tenon::host {

struct OptionSpec {
    enum class Type { kBool, kInt, kFloat, kString };
    std::string key;
    Type type = Type::kString;
    int64_t min = std::numeric_limits<int64_t>::min();  // of kInt
    int64_t max = std::numeric_limits<int64_t>::max();
    std::string default_text;  // canonical text; empty: the plugin decides
    std::string doc;
};

// "expected true or false, got 'yes'"; empty where the option takes the value. Texts take any: what
// they mean is the plugin's to judge.
std::string value_problem(const OptionSpec& option, std::string_view value);

}  // namespace tenon::host
