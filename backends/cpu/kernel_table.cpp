#include "backends/cpu/kernel_table.h"

namespace tenon::cpu {

KernelTable pick_kernels(kernels::Isa isa) noexcept {
    KernelTable table;
    table.isa = isa;
    for (size_t f = 0; f < kernels::kPackedFormatCount; ++f)
        table.matmul[f] = kernels::find_matmul(static_cast<kernels::PackedFormat>(f), isa);
    table.quantise = kernels::find_quantise(isa)->quantise;
    table.rms_norm = kernels::find_norm(isa)->rms_norm;
    table.rope = kernels::find_rope(isa)->rope;
    table.find_peak = kernels::find_peak(isa)->find_peak;
    table.draw = kernels::find_draw(isa);
    table.elementwise = kernels::find_elementwise(isa);
    for (size_t t = 0; t < kernels::kKvTypeCount; ++t) {
        table.kv[t] = kernels::find_kv(static_cast<kernels::KvType>(t), isa);
        table.attention[t] = kernels::find_attention(static_cast<kernels::KvType>(t), isa);
    }
    return table;
}

}  // namespace tenon::cpu
