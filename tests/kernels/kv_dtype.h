// The dtype of the ABI that a KvType stores.
#pragma once

#include <tenon/reference/kv.h>

#include "kernels/include/tenon/kernels/kv.h"

namespace tenon::kernels::testing {

inline uint32_t kv_dtype(KvType type) {
    constexpr uint32_t kDtypes[kKvTypeCount] = {TENON_F32,     TENON_F16,     TENON_BF16,
                                                TENON_F8_E4M3, TENON_F8_E5M2, TENON_I8};
    return kDtypes[static_cast<size_t>(type)];
}

}  // namespace tenon::kernels::testing
