// RMS_NORM: push constants, bindings and specialization constants, read by norm.comp.glsl and by the
// Vulkan backend. s = x + residual; sum = s; y = s / sqrt(mean(s^2) + epsilon) * (gain + gain_offset).
//
// `rows` of the step's entry is T. Dispatch (x, 1, 1):
//   variant plain   x = ceil(T / LOCAL): one invocation norms a row. No shared memory, no barrier.
//   variant lanes   x = T: the LOCAL invocations of a workgroup norm one row. Shared memory of
//                   512 bytes, one barrier. LOCAL 8 on a CPU device, 32 to 128 on a GPU.
// Each sums in its own order: a program uses one of the two, with one LOCAL, for all its buckets.
#ifndef TENON_SHADERS_NORM_PARAMS_H
#define TENON_SHADERS_NORM_PARAMS_H

#ifdef __cplusplus
#include <cstdint>
namespace tenon::shaders {
using uint = uint32_t;
#endif

struct NormParams {
    uint dispatch;    // entry of the step buffer
    uint step_words;  // word offset of error[]
    uint cols;        // of a row
    uint flags;       // TENON_NORM_* flags
    float epsilon;
    float gain_offset;  // added to each gain
};

#ifdef __cplusplus
static_assert(sizeof(NormParams) == 24, "NormParams");
}  // namespace tenon::shaders
#endif

#define TENON_NORM_RESIDUAL 1u
#define TENON_NORM_SUM 2u

// Bindings of set 0. What a dispatch does not use is bound to any buffer. y and sum may be x or residual.
#define TENON_NORM_STEP 0
#define TENON_NORM_X 1            // float[T][cols]
#define TENON_NORM_GAIN 2         // float[cols]
#define TENON_NORM_RESIDUAL_AT 3  // float[T][cols]
#define TENON_NORM_Y 4            // float[T][cols], written
#define TENON_NORM_SUM_AT 5       // float[T][cols], written
#define TENON_NORM_BINDINGS 6

#define TENON_NORM_SPEC_LOCAL 0   // invocations of a workgroup
#define TENON_NORM_LOCAL_MAX 128  // of variant lanes

#endif
