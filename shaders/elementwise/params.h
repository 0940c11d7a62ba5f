// ADD, MUL, ACTIVATION and SOFTCAP: push constants, bindings and specialization constants, read by
// elementwise.comp.glsl and by the Vulkan backend.
//
// `rows` of the step's entry is T, the first extent of a. Dispatch (x, y, 1):
// x = ceil(cols / (LOCAL * TENON_ELEMENTWISE_COLS)), y = T.
#ifndef TENON_SHADERS_ELEMENTWISE_PARAMS_H
#define TENON_SHADERS_ELEMENTWISE_PARAMS_H

#ifdef __cplusplus
#include <cstdint>
namespace tenon::shaders {
using uint = uint32_t;
#endif

struct ElementwiseParams {
    uint dispatch;    // entry of the step buffer
    uint step_words;  // word offset of error[]
    uint cols;        // elements of a row of a and y
    uint b_stride;    // floats from one row of b to the next: cols, or 0 where b is one row for all
    float cap;        // of SOFTCAP, > 0
};

#ifdef __cplusplus
static_assert(sizeof(ElementwiseParams) == 20, "ElementwiseParams");
}  // namespace tenon::shaders
#endif

#define TENON_ELEMENTWISE_COLS 4  // columns of an invocation

// Bindings of set 0. What a dispatch does not use is bound to any buffer. y may be a, or b of a's shape.
#define TENON_ELEMENTWISE_STEP 0
#define TENON_ELEMENTWISE_A 1  // float[T][cols]
#define TENON_ELEMENTWISE_B 2  // float[T][cols] or float[cols]: ADD and MUL
#define TENON_ELEMENTWISE_Y 3  // float[T][cols], written
#define TENON_ELEMENTWISE_BINDINGS 4

#define TENON_ELEMENTWISE_SPEC_LOCAL 0       // invocations of a workgroup
#define TENON_ELEMENTWISE_SPEC_OP 1          // a TENON_ELEMENTWISE_OP_*
#define TENON_ELEMENTWISE_SPEC_ACTIVATION 2  // a tenon_activation

#define TENON_ELEMENTWISE_OP_ADD 0
#define TENON_ELEMENTWISE_OP_MUL 1
#define TENON_ELEMENTWISE_OP_ACTIVATION 2
#define TENON_ELEMENTWISE_OP_SOFTCAP 3

#endif
