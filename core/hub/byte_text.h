// Sizes for people.
#pragma once

#include <cstdint>
#include <string>

namespace tenon::hub {

// "98.4 MB": decimal units, as disks and download pages count.
std::string format_bytes(uint64_t bytes);

}  // namespace tenon::hub
