#include "core/hub/byte_text.h"

#include <fmt/format.h>

namespace tenon::hub {

std::string format_bytes(uint64_t bytes) {
    if (bytes < 1000) return fmt::format("{} B", bytes);
    double value = static_cast<double>(bytes) / 1000;
    const char* const* unit = nullptr;
    static constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB", "PB"};
    for (unit = kUnits; value >= 999.95 && unit != kUnits + 4; ++unit)
        value /= 1000;
    return value < 99.95 ? fmt::format("{:.1f} {}", value, *unit)
                         : fmt::format("{:.0f} {}", value, *unit);
}

}  // namespace tenon::hub
