// GATHER_ROWS and POOL_ROWS: push constants, bindings and specialization constants, read by
// rows.comp.glsl and by the Vulkan backend.
//
// `rows` of the step's entry is the number of rows of y: L of GATHER_ROWS, S of POOL_ROWS. Dispatch
// (x, y, 1): x = ceil(cols / (LOCAL * TENON_ROWS_COLS)), y = rows of y.
// A row number outside x is ERROR_ROW_INDEX (index: of the row number). Starts that do not begin at 0,
// fall, or end beyond x are ERROR_Q_START. The row of y is then zeros.
#ifndef TENON_SHADERS_ROWS_PARAMS_H
#define TENON_SHADERS_ROWS_PARAMS_H

#ifdef __cplusplus
#include <cstdint>
namespace tenon::shaders {
using uint = uint32_t;
#endif

struct RowsParams {
    uint dispatch;     // entry of the step buffer
    uint step_words;   // word offset of error[]
    uint source_word;  // word of the step buffer that holds the number of rows of x in this step
    uint cols;
};

#ifdef __cplusplus
static_assert(sizeof(RowsParams) == 16, "RowsParams");
}  // namespace tenon::shaders
#endif

#define TENON_ROWS_COLS 4  // columns of an invocation

// Bindings of set 0.
#define TENON_ROWS_STEP 0
#define TENON_ROWS_X 1      // float[rows of x][cols]
#define TENON_ROWS_INDEX 2  // int[L] row numbers, or int[S + 1] starts of sequences
#define TENON_ROWS_Y 3      // float[rows][cols], written
#define TENON_ROWS_BINDINGS 4

#define TENON_ROWS_SPEC_LOCAL 0  // invocations of a workgroup
#define TENON_ROWS_SPEC_OP 1     // TENON_ROWS_OP_GATHER, or a tenon_pool_kind

#define TENON_ROWS_OP_GATHER 0

#endif
