// The KV pool of the references: one contiguous array of floats.
#pragma once

#include <tenon/abi.h>

#include <cstdint>

namespace tenon::reference {

// Layout [layer][block][keys, then values][head][place in block][element]. Borrows `data`, which holds
// elements() floats. Backends choose their own layout; only the numbers must agree.
struct ReferenceKv {
    float* data = nullptr;
    uint32_t n_layers = 0;
    uint32_t n_kv_heads = 0;
    uint32_t dim_k = 0;
    uint32_t dim_v = 0;
    uint32_t block_tokens = 0;
    uint32_t n_blocks = 0;

    // Elements of one block of one layer.
    int64_t block_elements() const {
        return int64_t{n_kv_heads} * block_tokens * (int64_t{dim_k} + dim_v);
    }
    int64_t elements() const { return int64_t{n_layers} * n_blocks * block_elements(); }

    // dim_k floats. `slot` is block * block_tokens + place.
    float* key(uint32_t layer, int64_t slot, uint32_t head) const {
        return block(layer, slot) + (int64_t{head} * block_tokens + slot % block_tokens) * dim_k;
    }
    // dim_v floats.
    float* value(uint32_t layer, int64_t slot, uint32_t head) const {
        return block(layer, slot) + int64_t{n_kv_heads} * block_tokens * dim_k +
               (int64_t{head} * block_tokens + slot % block_tokens) * dim_v;
    }

private:
    float* block(uint32_t layer, int64_t slot) const {
        return data + (int64_t{layer} * n_blocks + slot / block_tokens) * block_elements();
    }
};

} // namespace tenon::reference
