#include "backends/common/host_buffer.h"

#include <cstring>
#include <utility>

namespace tenon::common {

sdk::Status HostBuffer::alloc(const tenon_buffer_desc& desc) noexcept {
    const size_t bytes = desc.bytes == 0 ? 1 : desc.bytes;
    sdk::HostMemory taken(bytes, desc.align);
    if (taken.data() == nullptr) {
        return sdk::fail(TENON_OOM_DEVICE, "A buffer of %llu bytes does not fit into memory.",
                         static_cast<unsigned long long>(desc.bytes));
    }
    std::memset(taken.data(), 0, bytes);
    memory = std::move(taken);
    return {};
}

}  // namespace tenon::common
