// PAGED_ATTN: push constants, bindings and specialization constants, read by the shaders of this
// folder and by the Vulkan backend. The pool's layout is include/kv.h.
//
// `rows` of the step's entry is T. Dispatch (x, y, 1) by variant, with G = n_q_heads / n_kv_heads:
//   rows     x = ceil(n_q_heads / LOCAL), y = ceil(T / ROWS): one invocation attends for one query head
//            of ROWS consecutive tokens. No shared memory, no barrier; serves everything.
//   lanes    x = n_kv_heads * ceil(G / ROWS), y = T: the LOCAL invocations of a workgroup attend for
//            ROWS query heads of one KV head of one token. Shared memory of 2 KiB, two barriers for
//            LOCAL positions.
//   lanes_subgroup  as lanes, by subgroup broadcasts (ballot operations) instead: a subgroup has LOCAL
//            invocations or more.
// Positions are taken in aligned groups: of 8 in `rows`, of LOCAL (8, 16 or 32) in `lanes`. With LOCAL
// 8 all three give the same bits for a token, so that a program may use `rows` where many tokens share a
// sequence and `lanes` in buckets with about one token each; with another LOCAL it uses one of them for
// all buckets. No result depends on chunks, on the order of blocks or on the tokens beside.
// What an invocation holds grows with ROWS * (dim_k + dim_v), and compiling with its square: up to 256
// is wise on a CPU device. There `rows` is as fast as `lanes`, with even workgroups for the threads to share.
//
// Starts that do not begin at 0, fall, or exceed T are ERROR_Q_START; a kv_len below the sequence's new tokens
// or above the block table is ERROR_SEQ_LEN (index: the sequence), a block id outside the pool
// ERROR_BLOCK_TABLE (index: its place in the table). Such a token is not computed. Tokens of no
// sequence give zeros.
#ifndef TENON_SHADERS_ATTENTION_PARAMS_H
#define TENON_SHADERS_ATTENTION_PARAMS_H

#include "include/kv.h"

#ifdef __cplusplus
#include <cstdint>
namespace tenon::shaders {
using uint = uint32_t;
#endif

struct AttentionParams {
    uint dispatch;        // entry of the step buffer
    uint step_words;      // word offset of error[]
    uint sequences_word;  // word of the step buffer that holds S, the sequences of this step
    uint table_width;     // blocks of a sequence's row of the table
    uint n_q_heads;
    uint n_kv_heads;
    uint block_tokens;  // 16 or 32
    uint n_blocks;      // of the pool
    uint window;        // positions that a token sees, 0 for all
    uint flags;         // TENON_ATTENTION_* flags
    float scale;
    float softcap;  // 0: none
};

#ifdef __cplusplus
static_assert(sizeof(AttentionParams) == 48, "AttentionParams");
}  // namespace tenon::shaders
#endif

#define TENON_ATTENTION_SINKS 1u

// Bindings of set 0. What a dispatch does not use is bound to any buffer.
#define TENON_ATTENTION_STEP 0
#define TENON_ATTENTION_Q 1            // float[T][n_q_heads][dim_k]
#define TENON_ATTENTION_KV 2           // the layer's region of the pool
#define TENON_ATTENTION_BLOCK_TABLE 3  // int[S][table_width]
#define TENON_ATTENTION_KV_LEN 4       // int[S]
#define TENON_ATTENTION_Q_START 5      // int[S + 1]
#define TENON_ATTENTION_SINKS_AT 6     // float[n_q_heads]
#define TENON_ATTENTION_O 7            // float[T][n_q_heads][dim_v], written
#define TENON_ATTENTION_BINDINGS 8

#define TENON_ATTENTION_SPEC_LOCAL 0  // invocations of a workgroup
#define TENON_ATTENTION_SPEC_KV 1     // a TENON_KV_* type
#define TENON_ATTENTION_SPEC_DIM_K 2  // elements of a key
#define TENON_ATTENTION_SPEC_DIM_V 3  // elements of a value
#define TENON_ATTENTION_SPEC_ROWS 4   // query rows of an invocation or workgroup: 1 .. ROWS_MAX

#define TENON_ATTENTION_ROWS_MAX 8
#define TENON_ATTENTION_LOCAL_MAX 32  // of lanes

#endif
