#define TENON_ISA_NAMESPACE isa_avx2
#define TENON_ISA_LEVEL 1
#include "kernels/cpu/attention/attention-inl.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

template void attend<KvF32>(const AttentionArgs&);
template void attend<KvF16>(const AttentionArgs&);
template void attend<KvBf16>(const AttentionArgs&);
template void attend<KvF8E4m3>(const AttentionArgs&);
template void attend<KvF8E5m2>(const AttentionArgs&);
template void attend<KvI8>(const AttentionArgs&);

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
