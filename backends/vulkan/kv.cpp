#include <cstring>

#include <tenon/reference/kv.h>

#include "backends/vulkan/queue.h"
#include "shaders/include/kv.h"

namespace tenon::vulkan {
namespace {

constexpr uint32_t kExtentMax = 1u << 20; // heads, dims and layers: keeps products within 64 bits
constexpr uint32_t kHeadsMax = 1u << 16;  // keeps the words of a block within 32 bits
constexpr uint32_t kHeadDimMax = 512;     // elements of a head

sdk::Status check_desc(const tenon_kv_desc& desc) {
    if (!reference::is_kv_dtype(desc.dtype)) {
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
    if (desc.n_kv_heads > kHeadsMax || desc.dim_k > kHeadDimMax || desc.dim_v > kHeadDimMax) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "%u heads of %u and %u elements; at most %u of %u are supported.",
                         desc.n_kv_heads, desc.dim_k, desc.dim_v, kHeadsMax, kHeadDimMax);
    }
    return {};
}

// Bytes of one block of one layer.
uint64_t layer_bytes(const tenon_kv_desc& desc) noexcept {
    return uint64_t{shaders::kv_block_words(kv_type(desc.dtype), desc.n_kv_heads, desc.dim_k,
                                            desc.dim_v, desc.block_tokens)} *
           sizeof(uint32_t);
}

} // namespace

uint32_t kv_type(uint32_t dtype) noexcept {
    switch (dtype) {
        case TENON_F16: return TENON_KV_F16;
        case TENON_BF16: return TENON_KV_BF16;
        case TENON_F8_E4M3: return TENON_KV_F8_E4M3;
        case TENON_F8_E5M2: return TENON_KV_F8_E5M2;
        case TENON_I8: return TENON_KV_I8;
        default: return TENON_KV_F32;
    }
}

sdk::Status Impl::kv_query(Device& device, const tenon_kv_desc& desc, tenon_kv_info& info) {
    TENON_SDK_CHECK(check_desc(desc));
    const uint64_t layer = layer_bytes(desc);
    uint64_t block = 0;
    uint64_t pool = 0;
    if (__builtin_mul_overflow(layer, uint64_t{desc.n_layers}, &block) ||
        __builtin_mul_overflow(block, uint64_t{desc.n_blocks}, &pool)) {
        return sdk::fail(TENON_INVALID, "The KV pool's size does not fit 64 bits.");
    }
    const uint64_t range = device.features.storage_range;
    if (layer * desc.n_blocks > range) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "A layer of %u KV blocks has %llu bytes, the device binds at most %llu: "
                         "%llu blocks.",
                         desc.n_blocks, static_cast<unsigned long long>(layer * desc.n_blocks),
                         static_cast<unsigned long long>(range),
                         static_cast<unsigned long long>(range / layer));
    }
    info.block_bytes = block;
    info.pool_bytes = pool;
    return {};
}

sdk::Status Impl::kv_create(Device& device, const tenon_kv_desc& desc,
                            std::unique_ptr<KvPool>& pool) {
    tenon_kv_info info{};
    TENON_SDK_CHECK(kv_query(device, desc, info));
    auto made = std::make_unique<KvPool>();
    made->device = &device;
    made->desc = desc;
    made->layer_block_bytes = layer_bytes(desc);
    made->layers.resize(desc.n_layers);
    for (Memory& layer : made->layers) {
        TENON_SDK_CHECK(device.arena.take(Purpose::kKv, made->layer_block_bytes * desc.n_blocks,
                                          "A layer of the KV pool", layer, kMemoryAlign,
                                          info.pool_bytes));
        TENON_SDK_CHECK(device.zero(layer));
    }
    pool = std::move(made);
    return {};
}

sdk::Status Impl::kv_move(Queue& queue, sdk::Span<const tenon_kv_move> moves,
                          const tenon_sync& sync) {
    for (uint32_t i = 0; i < moves.count; ++i) {
        const KvPool& dst = *Handles::get(moves[i].dst_pool);
        const KvPool& src = *Handles::get(moves[i].src_pool);
        const tenon_kv_desc& a = dst.desc;
        const tenon_kv_desc& b = src.desc;
        if (a.n_layers != b.n_layers || a.dtype != b.dtype || a.n_kv_heads != b.n_kv_heads ||
            a.dim_k != b.dim_k || a.dim_v != b.dim_v || a.block_tokens != b.block_tokens) {
            return sdk::fail(TENON_INVALID, "Move %u joins pools whose blocks differ.", i);
        }
        if (dst.device != queue.device || src.device != queue.device)
            return sdk::fail(TENON_INVALID, "Move %u names a pool of another device.", i);
        if (moves[i].dst >= a.n_blocks || moves[i].src >= b.n_blocks) {
            return sdk::fail(TENON_INVALID, "Move %u goes from block %u of %u to block %u of %u.",
                             i, moves[i].src, b.n_blocks, moves[i].dst, a.n_blocks);
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

bool Worker::move_at_once(const Work& work) noexcept {
    if (!idle()) return false;
    for (const tenon_kv_move& move : work.moves)
        for (const tenon_kv_pool* handle : {move.dst_pool, move.src_pool})
            for (const Memory& layer : Handles::get(const_cast<tenon_kv_pool*>(handle))->layers)
                if (layer.mapped() == nullptr || !layer.cached()) return false;
    for (const tenon_kv_move& move : work.moves) {
        const KvPool& dst = *Handles::get(move.dst_pool);
        const KvPool& src = *Handles::get(move.src_pool);
        const uint64_t bytes = dst.layer_block_bytes;
        for (size_t layer = 0; layer < dst.layers.size(); ++layer)
            std::memmove(dst.layers[layer].mapped() + move.dst * bytes,
                         src.layers[layer].mapped() + move.src * bytes, bytes);
    }
    return true;
}

sdk::Status Worker::run_moves(Work& work) noexcept {
    if (move_at_once(work)) return {};
    for (const tenon_kv_move& move : work.moves) {
        const KvPool& dst = *Handles::get(move.dst_pool);
        const KvPool& src = *Handles::get(move.src_pool);
        if (&dst == &src && move.dst == move.src) continue;
        TENON_SDK_CHECK(open_flight(work));
        touch({{&src, move.src, uint64_t{move.src} + 1, false},
               {&dst, move.dst, uint64_t{move.dst} + 1, true}});
        const uint64_t bytes = dst.layer_block_bytes;
        for (size_t i = 0; i < dst.layers.size(); ++i) {
            const Memory& from = src.layers[i];
            const Memory& to = dst.layers[i];
            record_rows({from.buffer(), from.offset() + move.src * bytes}, bytes,
                        {to.buffer(), to.offset() + move.dst * bytes}, bytes, bytes, 1);
        }
    }
    return {};
}

} // namespace tenon::vulkan
