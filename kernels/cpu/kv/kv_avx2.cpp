#define TENON_ISA_NAMESPACE isa_avx2
#define TENON_ISA_LEVEL 1
#include "kernels/cpu/kv/kv-inl.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

template void kv_write<KvF32>(const KvWriteArgs&);
template void kv_write<KvF16>(const KvWriteArgs&);

} // namespace tenon::kernels::TENON_ISA_NAMESPACE
