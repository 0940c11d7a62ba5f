// The step buffer in a shader. Included after the push constants, which hold a struct named
// `params` whose first members are `uint dispatch; uint step_words;`.
#include "include/step.h"

layout(std430, set = 0, binding = STEP_BINDING) buffer StepBuffer {
    uint step_buffer[];
};

// Rows of this dispatch in this step.
uint rows() {
    return step_buffer[params.dispatch * STEP_DISPATCH_WORDS + 3u];
}

// Notes an error; the first one of the step stands. The caller skips what it was about to do.
void report(uint kind, uint index, uint value) {
    if (atomicCompSwap(step_buffer[params.step_words], ERROR_NONE, kind) == ERROR_NONE) {
        step_buffer[params.step_words + 1u] = params.dispatch;
        step_buffer[params.step_words + 2u] = index;
        step_buffer[params.step_words + 3u] = value;
    }
}
