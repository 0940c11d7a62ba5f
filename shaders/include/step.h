// The step buffer: what a shader learns at every step, and where it says what was wrong. Read by
// GLSL and by C++. Binding 0 of every family.
#ifndef TENON_SHADERS_STEP_H
#define TENON_SHADERS_STEP_H

#ifdef __cplusplus
#include <cstdint>
namespace tenon::shaders {
using uint = uint32_t;
#endif

#define STEP_BINDING 0

// One per dispatch of a program, from word 0 of the step buffer on.
struct StepDispatch {
    uint x, y, z;  // groups, read by the indirect dispatch
    uint rows;     // rows of this dispatch in this step
};

// Behind the array, at word `step_words`: the first error of the step; kind 0 is none.
struct StepError {
    uint kind;      // one of ERROR_*
    uint dispatch;  // index of the dispatch
    uint index;     // which element of the input holds the value
    uint value;     // what it held
};

#define STEP_DISPATCH_WORDS 4
#define STEP_ERROR_WORDS 4

// Kinds of error. The value was read from a buffer that the host filled.
#define ERROR_NONE 0
#define ERROR_TOKEN_ID 1      // a token id outside the vocabulary
#define ERROR_KV_SLOT 2       // a slot outside the pool
#define ERROR_BLOCK_TABLE 3   // a block id outside the pool
#define ERROR_Q_START 4       // q_start falls, or ends beyond the rows
#define ERROR_SEQ_LEN 5       // a length beyond its block table, or shorter than its queries
#define ERROR_ROW_INDEX 6     // a row outside its source
#define ERROR_POSITION 7      // a position outside the table
#define ERROR_SAMPLE_PARAM 8  // a sampling parameter outside its range

#ifdef __cplusplus
}  // namespace tenon::shaders
#endif
#endif
