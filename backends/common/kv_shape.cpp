#include "backends/common/kv_shape.h"

#include <tenon/reference/kv.h>

namespace tenon::common {

sdk::Status check_kv_shape(const tenon_kv_desc& desc, const KvLimits& limits) noexcept {
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
        if (extent == 0 || extent > kKvExtentMax) {
            return sdk::fail(TENON_INVALID,
                             "A KV pool of %u layers, %u heads, keys of %u and values of %u "
                             "elements: each must be 1 to %u.",
                             desc.n_layers, desc.n_kv_heads, desc.dim_k, desc.dim_v, kKvExtentMax);
        }
    }
    if (desc.n_kv_heads > limits.heads || desc.dim_k > limits.head_dim ||
        desc.dim_v > limits.head_dim) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "%u heads of %u and %u elements; at most %u of %u are supported.",
                         desc.n_kv_heads, desc.dim_k, desc.dim_v, limits.heads, limits.head_dim);
    }
    return {};
}

sdk::Status size_kv_pool(const tenon_kv_desc& desc, uint64_t layer_block_bytes,
                         tenon_kv_info& info) noexcept {
    uint64_t block = 0;
    uint64_t pool = 0;
    if (__builtin_mul_overflow(layer_block_bytes, uint64_t{desc.n_layers}, &block) ||
        __builtin_mul_overflow(block, uint64_t{desc.n_blocks}, &pool)) {
        return sdk::fail(TENON_INVALID, "The KV pool's size does not fit 64 bits.");
    }
    info.block_bytes = block;
    info.pool_bytes = pool;
    return {};
}

bool same_kv_blocks(const tenon_kv_desc& a, const tenon_kv_desc& b) noexcept {
    return a.n_layers == b.n_layers && a.dtype == b.dtype && a.n_kv_heads == b.n_kv_heads &&
           a.dim_k == b.dim_k && a.dim_v == b.dim_v && a.block_tokens == b.block_tokens;
}

sdk::Status check_kv_move(uint32_t index, const tenon_kv_move& move, const tenon_kv_desc& dst,
                          const tenon_kv_desc& src) noexcept {
    if (!same_kv_blocks(dst, src))
        return sdk::fail(TENON_INVALID, "Move %u joins pools whose blocks differ.", index);
    if (move.dst >= dst.n_blocks || move.src >= src.n_blocks) {
        return sdk::fail(TENON_INVALID, "Move %u goes from block %u of %u to block %u of %u.",
                         index, move.src, src.n_blocks, move.dst, dst.n_blocks);
    }
    return {};
}

}  // namespace tenon::common
