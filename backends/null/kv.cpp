#include <sys/mman.h>

#include "backends/common/kv_shape.h"

#include "null_backend.h"

namespace tenon::null_backend {

sdk::Status Impl::kv_query(Device&, const tenon_kv_desc& desc, tenon_kv_info& info) {
    TENON_SDK_CHECK(common::check_kv_shape(desc, {}));
    // 8-bit integers have a float scale for each key and each value.
    uint64_t bytes = (uint64_t{desc.dim_k} + desc.dim_v) * sdk::dtype_bytes(desc.dtype);
    if (desc.dtype == TENON_I8) bytes += 2 * sizeof(float);
    return common::size_kv_pool(desc, bytes * desc.block_tokens * desc.n_kv_heads, info);
}

sdk::Status Impl::kv_create(Device& device, const tenon_kv_desc& desc,
                            std::unique_ptr<KvPool>& pool) {
    tenon_kv_info info{};
    TENON_SDK_CHECK(kv_query(device, desc, info));
    auto made = std::make_unique<KvPool>();
    made->block_bytes = info.block_bytes;
    made->desc = desc;
    if (info.pool_bytes != 0) {
        void* memory = mmap(nullptr, info.pool_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            return sdk::fail(TENON_OOM_DEVICE, "A KV pool of %llu bytes does not fit into memory.",
                             static_cast<unsigned long long>(info.pool_bytes));
        }
        made->memory = static_cast<uint8_t*>(memory);
    }
    pool = std::move(made);
    return {};
}

KvPool::~KvPool() {
    if (memory != nullptr) munmap(memory, block_bytes * desc.n_blocks);
}

sdk::Status run_moves(const tenon_kv_move* moves, uint32_t n) noexcept {
    for (uint32_t i = 0; i < n; ++i) {
        KvPool& dst = *Handles::get(moves[i].dst_pool);
        KvPool& src = *Handles::get(moves[i].src_pool);
        std::memmove(dst.memory + moves[i].dst * dst.block_bytes,
                     src.memory + moves[i].src * src.block_bytes, dst.block_bytes);
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
    return queue.order(
        sync, [&] { return run_moves(moves.first, moves.count); },
        [&](Work& work) {
            work.kind = Work::Kind::kMove;
            work.moves.assign(moves.begin(), moves.end());
            return sdk::Status();
        });
}

}  // namespace tenon::null_backend
