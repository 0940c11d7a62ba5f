#include <sys/mman.h>

#include <cerrno>

#include "backends/cpu/cpu_backend.h"

namespace tenon::cpu {
namespace {

constexpr uint32_t kExtentMax = 1u << 20; // heads, dims and layers: keeps products within 64 bits

bool find_type(uint32_t dtype, kernels::KvType* type) noexcept {
    switch (dtype) {
        case TENON_F32: *type = kernels::KvType::kF32; return true;
        case TENON_F16: *type = kernels::KvType::kF16; return true;
        case TENON_BF16: *type = kernels::KvType::kBf16; return true;
        case TENON_F8_E4M3: *type = kernels::KvType::kF8E4m3; return true;
        case TENON_F8_E5M2: *type = kernels::KvType::kF8E5m2; return true;
        case TENON_I8: *type = kernels::KvType::kI8; return true;
        default: return false;
    }
}

sdk::Status check_desc(const tenon_kv_desc& desc, kernels::KvType* type) {
    if (!find_type(desc.dtype, type)) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "KV element type %u is not offered; F32, F16, BF16, F8_E4M3, F8_E5M2 and "
                         "I8 are.",
                         desc.dtype);
    }
    if (desc.block_tokens != 16 && desc.block_tokens != 32) {
        return sdk::fail(TENON_INVALID, "KV blocks hold %u tokens, wanted 16 or 32.",
                         desc.block_tokens);
    }
    for (uint32_t extent : {desc.n_layers, desc.n_kv_heads, desc.dim_k, desc.dim_v}) {
        if (extent == 0 || extent > kExtentMax) {
            return sdk::fail(TENON_INVALID,
                             "A KV pool of %u layers, %u heads, keys of %u and values of %u "
                             "elements: each must be 1 to %u.",
                             desc.n_layers, desc.n_kv_heads, desc.dim_k, desc.dim_v, kExtentMax);
        }
    }
    if (desc.dim_k > kernels::kHeadDimMax || desc.dim_v > kernels::kHeadDimMax) {
        return sdk::fail(TENON_UNSUPPORTED, "Heads of %u and %u elements, at most %u are supported.",
                         desc.dim_k, desc.dim_v, kernels::kHeadDimMax);
    }
    return {};
}

} // namespace

sdk::Status Impl::kv_query(Device&, const tenon_kv_desc& desc, tenon_kv_info& info) {
    kernels::KvType type{};
    TENON_SDK_CHECK(check_desc(desc, &type));
    const kernels::KvGeometry geometry{desc.n_kv_heads, desc.dim_k, desc.dim_v, desc.block_tokens};
    const uint64_t layer = kernels::kv_block_bytes(type, geometry);
    uint64_t block = 0;
    uint64_t pool = 0;
    if (__builtin_mul_overflow(layer, uint64_t{desc.n_layers}, &block) ||
        __builtin_mul_overflow(block, uint64_t{desc.n_blocks}, &pool)) {
        return sdk::fail(TENON_INVALID, "The KV pool's size does not fit 64 bits.");
    }
    info.block_bytes = block;
    info.pool_bytes = pool;
    return {};
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

} // namespace

sdk::Status Impl::kv_create(Device& device, const tenon_kv_desc& desc,
                            std::unique_ptr<KvPool>& pool) {
    tenon_kv_info info{};
    TENON_SDK_CHECK(kv_query(device, desc, info));
    auto made = std::make_unique<KvPool>();
    find_type(desc.dtype, &made->type);
    made->geometry = {desc.n_kv_heads, desc.dim_k, desc.dim_v, desc.block_tokens};
    made->layer_block_bytes = kernels::kv_block_bytes(made->type, made->geometry);
    made->n_layers = desc.n_layers;
    made->n_blocks = desc.n_blocks;
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
        for (uint32_t layer = 0; layer < dst.n_layers; ++layer)
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
        const kernels::KvGeometry& a = dst.geometry;
        const kernels::KvGeometry& b = src.geometry;
        if (dst.n_layers != src.n_layers || dst.type != src.type || a.kv_heads != b.kv_heads ||
            a.dim_k != b.dim_k || a.dim_v != b.dim_v || a.block_tokens != b.block_tokens) {
            return sdk::fail(TENON_INVALID, "Move %u joins pools whose blocks differ.", i);
        }
        if (moves[i].dst >= dst.n_blocks || moves[i].src >= src.n_blocks) {
            return sdk::fail(TENON_INVALID, "Move %u goes from block %u of %u to block %u of %u.",
                             i, moves[i].src, src.n_blocks, moves[i].dst, dst.n_blocks);
        }
    }
    const std::lock_guard<std::mutex> lock(queue.device->mutex);
    Work* work = nullptr;
    TENON_SDK_CHECK(queue.reserve(sync, &work));
    work->kind = Work::Kind::kMove;
    work->moves.assign(moves.begin(), moves.end());
    queue.push();
    return {};
}

} // namespace tenon::cpu
