#include <sys/mman.h>

#include <cerrno>

#include "backends/common/kv_shape.h"
#include "backends/cpu/cpu_backend.h"

namespace tenon::cpu {
namespace {

static_assert(common::kHeadDimMax == kernels::kHeadDimMax);
constexpr common::KvLimits kLimits = {common::kKvExtentMax, common::kHeadDimMax};

kernels::KvType kv_type(uint32_t dtype) noexcept {
    switch (dtype) {
        case TENON_F16: return kernels::KvType::kF16;
        case TENON_BF16: return kernels::KvType::kBf16;
        case TENON_F8_E4M3: return kernels::KvType::kF8E4m3;
        case TENON_F8_E5M2: return kernels::KvType::kF8E5m2;
        case TENON_I8: return kernels::KvType::kI8;
        default: return kernels::KvType::kF32;
    }
}

kernels::KvGeometry geometry_of(const tenon_kv_desc& desc) noexcept {
    return {desc.n_kv_heads, desc.dim_k, desc.dim_v, desc.block_tokens};
}

}  // namespace

sdk::Status Impl::kv_query(Device&, const tenon_kv_desc& desc, tenon_kv_info& info) {
    TENON_SDK_CHECK(common::check_kv_shape(desc, kLimits));
    return common::size_kv_pool(
        desc, kernels::kv_block_bytes(kv_type(desc.dtype), geometry_of(desc)), info);
}

namespace {

// Takes every page now, in huge ones where the system gives them. False when memory is out.
bool populate(void* memory, uint64_t bytes) noexcept {
#ifndef MADV_POPULATE_WRITE
    constexpr int MADV_POPULATE_WRITE = 23;  // Linux 5.14
#endif
    constexpr uint64_t kPage = 4096;
    madvise(memory, bytes, MADV_HUGEPAGE);
    if (madvise(memory, bytes, MADV_POPULATE_WRITE) == 0) return true;
    if (errno != EINVAL) return false;
    // An older kernel: a write takes a page.
    for (uint64_t at = 0; at < bytes; at += kPage)
        static_cast<volatile uint8_t*>(memory)[at] = 0;
    return true;
}

}  // namespace

sdk::Status Impl::kv_create(Device& device, const tenon_kv_desc& desc,
                            std::unique_ptr<KvPool>& pool) {
    tenon_kv_info info{};
    TENON_SDK_CHECK(kv_query(device, desc, info));
    auto made = std::make_unique<KvPool>();
    made->desc = desc;
    made->type = kv_type(desc.dtype);
    made->geometry = geometry_of(desc);
    made->layer_block_bytes = kernels::kv_block_bytes(made->type, made->geometry);
    if (info.pool_bytes != 0) {
        // Populated now: a pool that is too large is refused here, not met by the OOM killer later.
        const uint64_t available = available_memory();
        void* memory = info.pool_bytes > available
                           ? MAP_FAILED
                           : mmap(nullptr, info.pool_bytes, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory != MAP_FAILED && !populate(memory, info.pool_bytes)) {
            munmap(memory, info.pool_bytes);
            memory = MAP_FAILED;
        }
        if (memory == MAP_FAILED) {
            return sdk::fail(TENON_OOM_DEVICE,
                             "A KV pool needs %llu bytes of memory; %llu are available.",
                             static_cast<unsigned long long>(info.pool_bytes),
                             static_cast<unsigned long long>(available));
        }
        made->memory = static_cast<uint8_t*>(memory);
        made->pool_bytes = info.pool_bytes;
    }
    pool = std::move(made);
    return {};
}

KvPool::~KvPool() {
    if (memory != nullptr) munmap(memory, pool_bytes);
}

sdk::Status run_moves(const tenon_kv_move* moves, uint32_t n) noexcept {
    for (uint32_t i = 0; i < n; ++i) {
        const KvPool& dst = *Handles::get(moves[i].dst_pool);
        const KvPool& src = *Handles::get(moves[i].src_pool);
        for (uint32_t layer = 0; layer < dst.desc.n_layers; ++layer)
            std::memmove(dst.block(layer, moves[i].dst), src.block(layer, moves[i].src),
                         dst.layer_block_bytes);
    }
    return {};
}

sdk::Status Impl::kv_move(Queue& queue, sdk::Span<const tenon_kv_move> moves,
                          const tenon_sync& sync) {
    for (uint32_t i = 0; i < moves.count; ++i) {
        const KvPool& dst = *Handles::get(moves[i].dst_pool);
        const KvPool& src = *Handles::get(moves[i].src_pool);
        TENON_SDK_CHECK(common::check_kv_move(i, moves[i], dst.desc, src.desc));
    }
    const std::lock_guard<std::mutex> lock(queue.device->mutex);
    Work* work = nullptr;
    TENON_SDK_CHECK(queue.reserve(sync, &work));
    work->kind = Work::Kind::kMove;
    work->moves.assign(moves.begin(), moves.end());
    queue.push();
    return {};
}

}  // namespace tenon::cpu
