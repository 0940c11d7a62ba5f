#include <cstring>

#include "backends/common/kv_shape.h"
#include "backends/vulkan/queue.h"
#include "shaders/include/kv.h"

namespace tenon::vulkan {
namespace {

// So many heads keep the words of a block within 32 bits.
constexpr common::KvLimits kLimits = {1u << 16, common::kHeadDimMax};

// Bytes of one block of one layer.
uint64_t layer_bytes(const tenon_kv_desc& desc) noexcept {
    return uint64_t{shaders::kv_block_words(kv_type(desc.dtype), desc.n_kv_heads, desc.dim_k,
                                            desc.dim_v, desc.block_tokens)} *
           sizeof(uint32_t);
}

}  // namespace

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
    TENON_SDK_CHECK(common::check_kv_shape(desc, kLimits));
    const uint64_t layer = layer_bytes(desc);
    TENON_SDK_CHECK(common::size_kv_pool(desc, layer, info));
    const uint64_t range = device.features.storage_range;
    if (layer * desc.n_blocks > range) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "A layer of %u KV blocks has %llu bytes, the device binds at most %llu: "
                         "%llu blocks.",
                         desc.n_blocks, static_cast<unsigned long long>(layer * desc.n_blocks),
                         static_cast<unsigned long long>(range),
                         static_cast<unsigned long long>(range / layer));
    }
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
        if (dst.device != queue.device || src.device != queue.device)
            return sdk::fail(TENON_INVALID, "Move %u names a pool of another device.", i);
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

}  // namespace tenon::vulkan
