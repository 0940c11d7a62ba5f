// The step buffer in a shader. Included after the push constants, which hold a struct named
// `params` whose first members are `uint dispatch; uint step_words;`. A shader that never reports
// defines STEP_READS_ONLY before it, so that nothing has to wait for it because of the step buffer.
#include "include/step.h"

#ifdef STEP_READS_ONLY
layout(std430, set = 0, binding = STEP_BINDING) readonly buffer StepBuffer {
#else
layout(std430, set = 0, binding = STEP_BINDING) buffer StepBuffer {
#endif
    uint step_buffer[];
};

// Rows of this dispatch in this step.
uint rows() {
    return step_buffer[params.dispatch * STEP_DISPATCH_WORDS + 3u];
}

#ifndef STEP_READS_ONLY
// Notes an error; the first one of the step stands. The caller skips what it was about to do.
void report(uint kind, uint index, uint value) {
    if (atomicCompSwap(step_buffer[params.step_words], ERROR_NONE, kind) == ERROR_NONE) {
        step_buffer[params.step_words + 1u] = params.dispatch;
        step_buffer[params.step_words + 2u] = index;
        step_buffer[params.step_words + 3u] = value;
    }
}
#endif
