// SAMPLE: one workgroup draws the token of one row of logits, bit for bit as
// tenon/reference/sample.h. Read by GLSL and by C++.
//
// Dispatch: x = rows of this dispatch, y = z = 1; `rows` of its StepDispatch is the same number. No
// scratch. A matrix of logits beyond the storage buffer range is cut into dispatches of a multiple
// of 64 rows (whose offset is then a multiple of 256 bytes), each with its own first_row; only the
// binding of the logits is moved, all others stay whole.
#ifndef TENON_SHADERS_SAMPLE_PARAMS_H
#define TENON_SHADERS_SAMPLE_PARAMS_H

#ifdef __cplusplus
#include <cstdint>
namespace tenon::shaders {
using uint = uint32_t;
#endif

// Storage buffers of set 0; 0 is the step buffer. An absent mask or logprob is any bound buffer.
#define SAMPLE_LOGITS 1       // float[rows of this dispatch][vocabulary]
#define SAMPLE_TEMPERATURE 2  // float[rows]
#define SAMPLE_TOP_K 3        // int[rows]
#define SAMPLE_TOP_P 4        // float[rows]
#define SAMPLE_MIN_P 5        // float[rows]
#define SAMPLE_SEED 6         // uint[rows][2], low word first
#define SAMPLE_POSITION 7     // int[rows]
#define SAMPLE_MASK 8         // uint[rows][mask_words]
#define SAMPLE_TOKEN 9        // int[rows], written
#define SAMPLE_LOGPROB 10     // float[rows], written

// Specialization constants. An invocation's loops run at most 15 times over its share of a row; see
// shaders/README.md for what limits that.
#define SAMPLE_SPEC_LANES 0  // invocations of a workgroup; a power of two, 1 .. 1024
#define SAMPLE_LANES 256     // the value to choose where a device allows it

// Flags.
#define SAMPLE_HAS_LOGPROB 1u

struct SampleParams {
    uint dispatch;    // this dispatch's place in the step buffer
    uint step_words;  // where the step buffer's error words begin
    uint vocabulary;  // tokens of a row, > 0
    uint mask_words;  // ceil(vocabulary / 32), or 0 without a mask
    uint first_row;   // row of the whole matrix that is row 0 of this dispatch
    uint flags;       // of SAMPLE_HAS_*
};

#ifdef __cplusplus
}  // namespace tenon::shaders
#endif
#endif
