// The shape of a KV pool: whether a backend can have it, what it takes, and which moves are legal.
#pragma once

#include <cstdint>

#include <tenon/plugin.hpp>

namespace tenon::common {

namespace sdk = tenon::sdk;

constexpr uint32_t kKvExtentMax =
    1u << 20;                          // layers, heads, dims: keeps a block's bytes within 64 bits
constexpr uint32_t kHeadDimMax = 512;  // elements of a head that computing backends take

// Largest numbers that a backend takes, each at most kKvExtentMax.
struct KvLimits {
    uint32_t heads = kKvExtentMax;
    uint32_t head_dim = kKvExtentMax;
};

sdk::Status check_kv_shape(const tenon_kv_desc& desc, const KvLimits& limits) noexcept;

// Fills the bytes of a block and of the pool, given those of one block in one layer. INVALID when they
// do not fit 64 bits.
sdk::Status size_kv_pool(const tenon_kv_desc& desc, uint64_t layer_block_bytes,
                         tenon_kv_info& info) noexcept;

// Whether the blocks of two pools look alike; the pools may have different numbers of them.
bool same_kv_blocks(const tenon_kv_desc& a, const tenon_kv_desc& b) noexcept;

// Move number `index` between pools of these shapes.
sdk::Status check_kv_move(uint32_t index, const tenon_kv_move& move, const tenon_kv_desc& dst,
                          const tenon_kv_desc& src) noexcept;

}  // namespace tenon::common
