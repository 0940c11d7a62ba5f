#define TENON_ISA_NAMESPACE isa_avx2
#define TENON_ISA_LEVEL 1
#include "kernels/cpu/kv/kv-inl.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

template void kv_write<KvF32>(const KvWriteArgs&);
template void kv_write<KvF16>(const KvWriteArgs&);
template void kv_write<KvBf16>(const KvWriteArgs&);
template void kv_write<KvF8E4m3>(const KvWriteArgs&);
template void kv_write<KvF8E5m2>(const KvWriteArgs&);
template void kv_write<KvI8>(const KvWriteArgs&);

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
