#include <algorithm>

#include "backends/common/temporaries.h"
#include "backends/vulkan/exec.h"

namespace tenon::vulkan {

void plan_memory(Exec& exec) {
    std::vector<common::Temporary> temporaries;
    for (Value& v : exec.values) {
        if (v.kind != TENON_VALUE_TEMP || !v.used()) continue;
        const uint64_t bytes = common::round_up(std::max<uint64_t>(v.bytes_max(), 1), kPlaceAlign);
        temporaries.push_back({bytes, v.first_node, v.last_node, &v.at});
    }
    exec.temp_bytes = common::place_temporaries(temporaries);
}

}  // namespace tenon::vulkan
