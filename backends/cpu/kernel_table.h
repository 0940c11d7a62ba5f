// The kernels of one instruction set, picked once when the device opens.
#pragma once

#include "kernels/include/tenon/kernels/attention.h"
#include "kernels/include/tenon/kernels/draw.h"
#include "kernels/include/tenon/kernels/elementwise.h"
#include "kernels/include/tenon/kernels/kv.h"
#include "kernels/include/tenon/kernels/matmul.h"
#include "kernels/include/tenon/kernels/norm.h"
#include "kernels/include/tenon/kernels/peak.h"
#include "kernels/include/tenon/kernels/quantise.h"
#include "kernels/include/tenon/kernels/rope.h"

namespace tenon::cpu {

struct KernelTable {
    kernels::Isa isa = kernels::Isa::kScalar;
    const kernels::MatmulEntry* matmul[kernels::kPackedFormatCount] = {};
    kernels::QuantiseFn quantise = nullptr;
    kernels::NormFn rms_norm = nullptr;
    kernels::RopeFn rope = nullptr;
    kernels::PeakFn find_peak = nullptr;
    const kernels::DrawEntry* draw = nullptr;
    const kernels::ElementwiseEntry* elementwise = nullptr;
    const kernels::KvEntry* kv[kernels::kKvTypeCount] = {};                // by KvType
    const kernels::AttentionEntry* attention[kernels::kKvTypeCount] = {};  // by KvType
};

KernelTable pick_kernels(kernels::Isa isa) noexcept;

}  // namespace tenon::cpu
