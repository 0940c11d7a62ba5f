// MATMUL and MATMUL_GLU on packed weights: push constants, bindings and specialization constants,
// read by matmul.comp.glsl and by the Vulkan backend.
//
// Dispatch (x, y, 1) by variant, with T the `rows` of the step's entry:
//   plain, plain_shuffle  x = ceil(rows / (LOCAL * ROWS)), y = ceil(T / TOKENS)
//   columns               x = ceil(rows / (LOCAL / TEAM * ROWS)), y = ceil(T / TOKENS)
//   tile                  x = ceil(rows / (LOCAL / TEAM * ROWS)), y = ceil(T / (TEAM * TOKENS))
//   cooperative           x = ceil(rows / (LOCAL / SUBGROUP / TEAM * ROWS * MATRIX_ROWS)),
//                         y = ceil(T / (TEAM * TOKENS * MATRIX_TOKENS))
// All but `cooperative` give the same bits, at every choice of constants. A weight in several slices is
// one dispatch per slice: `row_begin` says where the slice's first row lies among the outputs, the
// planes of the slice are bound from their start.
#ifndef TENON_SHADERS_MATMUL_PARAMS_H
#define TENON_SHADERS_MATMUL_PARAMS_H

#ifdef __cplusplus
#include <cstdint>
namespace tenon::shaders {
using uint = uint32_t;
#endif

struct MatmulParams {
    uint dispatch;      // entry of the step buffer
    uint step_words;    // word offset of error[]
    uint rows;          // weight rows of this slice
    uint row_begin;     // output column of the slice's first row
    uint y_stride;      // floats from one token of y and residual to the next: rows of all slices
    uint cols;          // columns of x and of the weight
    uint x_stride;      // floats from one token of x to the next
    uint lo_stride;     // 16-byte units from one row to the next: plane lo
    uint hi_stride;     // 32-bit words: plane hi
    uint scale_stride;  // 32-bit words: plane scale
    uint flags;         // TENON_MATMUL_* flags
    float alpha;        // of MATMUL; 1 in MATMUL_GLU
};

#ifdef __cplusplus
static_assert(sizeof(MatmulParams) == 48, "MatmulParams");
}  // namespace tenon::shaders
#endif

#define TENON_MATMUL_BIAS 1u      // bias[rows of all slices] is added
#define TENON_MATMUL_RESIDUAL 2u  // residual[T][y_stride] is added

// Bindings of set 0. What a dispatch does not read is bound to any buffer.
#define TENON_MATMUL_STEP 0
#define TENON_MATMUL_X 1
#define TENON_MATMUL_Y 2  // may be the residual
#define TENON_MATMUL_BIAS_AT 3
#define TENON_MATMUL_RESIDUAL_AT 4  // OP_GATED: the product x gate^T
#define TENON_MATMUL_LO 5           // OP_GLU: gate
#define TENON_MATMUL_HI 6
#define TENON_MATMUL_SCALE 7
#define TENON_MATMUL_UP_LO 8  // OP_GLU only
#define TENON_MATMUL_UP_HI 9
#define TENON_MATMUL_UP_SCALE 10
#define TENON_MATMUL_BINDINGS 11

// Specialization constants; those of the weight's layout are in include/decode.h.
#define TENON_MATMUL_SPEC_LOCAL 0       // invocations of a workgroup
#define TENON_MATMUL_SPEC_ROWS 1        // weight rows of an invocation (columns: of a team)
#define TENON_MATMUL_SPEC_TOKENS 2      // tokens of an invocation
#define TENON_MATMUL_SPEC_OP 3          // a TENON_MATMUL_OP_*
#define TENON_MATMUL_SPEC_ACTIVATION 4  // a tenon_activation: OP_GLU and OP_GATED
#define TENON_MATMUL_SPEC_RAGGED 5      // 1 where cols % 32 != 0 or x_stride % 4 != 0
// Divides LOCAL. columns: invocations that share a row; tile: invocations side by side along the tokens,
// where ROWS and TOKENS are multiples of four.
#define TENON_MATMUL_SPEC_TEAM 6
// cooperative alone, where ROWS and TOKENS count matrices of a subgroup and TEAM subgroups side by side
// along the tokens: invocations of a subgroup, and the sizes M, N and K of a matrix. K divides 32.
#define TENON_MATMUL_SPEC_SUBGROUP 7
#define TENON_MATMUL_SPEC_MATRIX_TOKENS 8
#define TENON_MATMUL_SPEC_MATRIX_ROWS 9
#define TENON_MATMUL_SPEC_MATRIX_COLS 10

// Bytes of shared memory at such constants; `sets` is 2 for OP_GLU, else 1.
#ifdef __cplusplus
namespace tenon::shaders {
constexpr uint matmul_columns_shared(uint local, uint team, uint sets, uint rows, uint tokens) {
    return tokens * team * (32 / 4 + 1) * 16 + local / team * sets * rows * tokens * (team + 1) * 4;
}
constexpr uint matmul_tile_shared(uint local, uint team, uint sets, uint rows, uint tokens) {
    return 32 * (local / team * rows * sets + team * tokens + 4) * 4;
}
// `group_rows` and `group_tokens` are those of a workgroup, `matrix` the elements of a matrix of sums.
constexpr uint matmul_cooperative_shared(uint subgroups, uint group_rows, uint group_tokens,
                                         uint sets, uint matrix) {
    return (sets * group_rows + group_tokens) * (32 / 4 + 2) * 8 +
           subgroups * (sets * matrix * 4 + 8);
}
}  // namespace tenon::shaders
#endif

#define TENON_MATMUL_OP_PLAIN 0  // y = alpha * (x w^T) + bias + residual
#define TENON_MATMUL_OP_GLU 1    // y = activation(x gate^T) * (x up^T): two weights of one layout
// y = activation(residual) * (x up^T): the second half of a GLU whose weights have two layouts; the
// first half is OP_PLAIN into the temporary bound as residual. The same bits as OP_GLU.
#define TENON_MATMUL_OP_GATED 2

#endif
