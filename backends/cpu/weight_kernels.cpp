// The interface of <tenon/ext_weight_kernels.h>.
#include <cstdio>

#include <tenon/ext_weight_kernels.h>

#include "backends/cpu/exec.h"

namespace tenon::cpu {
namespace {

int32_t name_kernel(tenon_weights* handle, uint32_t entry, uint32_t use, uint32_t compute,
                    char* text, uint32_t capacity) noexcept {
    if (handle == nullptr || text == nullptr || capacity == 0) return TENON_INVALID;
    const Weights& weights = *Handles::get(handle);
    if (!weights.finished || entry >= weights.entries.size()) return TENON_INVALID;
    const WeightEntry& weight = weights.entries[entry];
    if (use == 0 || (weight.uses & use) != use) return TENON_INVALID;
    const kernels::PackedFormat format = weight.layout.format;
    switch (use) {
        case TENON_USE_MATMUL: {
            const kernels::MatmulEntry& kernel =
                *weights.device->kernels.matmul[static_cast<size_t>(format)];
            const bool fast = compute == TENON_COMPUTE_FAST && kernel.fast != nullptr;
            // What feeds attention reads floats in fast steps as well: see prepare.cpp.
            std::snprintf(text, capacity, "%s, %s activations, %s", kernels::format_name(format),
                          fast ? "8-bit (before attention float)" : "float",
                          kernels::isa_name(kernel.isa));
            return TENON_OK;
        }
        case TENON_USE_ROWS:
            std::snprintf(text, capacity, "%s, decoded row by row", kernels::format_name(format));
            return TENON_OK;
        case TENON_USE_ELEMENTWISE:
            std::snprintf(text, capacity, "f32, read whole");
            return TENON_OK;
        default: return TENON_INVALID;
    }
}

constexpr tenon_weight_kernels kTable = {sizeof(tenon_weight_kernels), 0, name_kernel};

}  // namespace

const void* Impl::device_ext(Device&, const char* id) noexcept {
    return sdk::same(id, TENON_EXT_WEIGHT_KERNELS) ? &kTable : nullptr;
}

}  // namespace tenon::cpu
