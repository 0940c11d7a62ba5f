// ROPE_KV_WRITE: push constants, bindings and specialization constants, read by rope.comp.glsl and by
// the Vulkan backend. The pool's layout is include/kv.h.
//
// `rows` of the step's entry is T. Dispatch (x, y, 1): x = ceil((n_q_heads + 2 * n_kv_heads) / LOCAL),
// y = T: one invocation rotates, and writes, one head of q, k or v of one token. LOCAL 8 on a CPU
// device, 32 on a GPU.
// A slot of n_blocks * block_tokens or more is ERROR_KV_SLOT (index: the token) and writes nothing.
#ifndef TENON_SHADERS_ROPE_PARAMS_H
#define TENON_SHADERS_ROPE_PARAMS_H

#include "include/kv.h"

#ifdef __cplusplus
#include <cstdint>
namespace tenon::shaders {
using uint = uint32_t;
#endif

struct RopeParams {
    uint dispatch;    // entry of the step buffer
    uint step_words;  // word offset of error[]
    uint n_q_heads;
    uint n_kv_heads;
    uint dim_k;
    uint dim_v;
    uint rope_dim;      // even, at most dim_k
    uint block_tokens;  // 16 or 32
    uint n_blocks;      // of the pool
    uint flags;         // TENON_ROPE_* flags
    float mscale;
    float epsilon;  // of the norms
};

#ifdef __cplusplus
static_assert(sizeof(RopeParams) == 48, "RopeParams");
}  // namespace tenon::shaders
#endif

#define TENON_ROPE_Q_GAIN 1u
#define TENON_ROPE_K_GAIN 2u

// Bindings of set 0. What a dispatch does not use is bound to any buffer. q_out may be q.
#define TENON_ROPE_STEP 0
#define TENON_ROPE_Q 1          // float[T][n_q_heads][dim_k]
#define TENON_ROPE_K 2          // float[T][n_kv_heads][dim_k]
#define TENON_ROPE_V 3          // float[T][n_kv_heads][dim_v]
#define TENON_ROPE_POSITIONS 4  // int[T]
#define TENON_ROPE_KV_SLOT 5    // int[T]
#define TENON_ROPE_INV_FREQ 6   // float[rope_dim / 2]
#define TENON_ROPE_KV 7         // the layer's region of the pool, written
#define TENON_ROPE_Q_GAIN_AT 8  // float[dim_k]
#define TENON_ROPE_K_GAIN_AT 9  // float[dim_k]
#define TENON_ROPE_Q_OUT 10     // float[T][n_q_heads][dim_k], written
#define TENON_ROPE_BINDINGS 11

#define TENON_ROPE_SPEC_LOCAL 0  // invocations of a workgroup
#define TENON_ROPE_SPEC_STYLE 1  // a tenon_rope_style
#define TENON_ROPE_SPEC_KV 2     // a TENON_KV_* type

#endif
