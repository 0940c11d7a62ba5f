// EMBED from a packed table: push constants, bindings and specialization constants, read by
// embed.comp.glsl and by the Vulkan backend.
//
// Dispatch (x, y, 1): x = ceil(cols / (32 * local size)), y = T, the `rows` of the step's entry. A
// table in several slices is one dispatch per slice: each writes the tokens whose id is in it; an
// id outside 0 .. table_rows - 1 is an error, raised by the slice with row_begin 0.
#ifndef TENON_SHADERS_EMBED_PARAMS_H
#define TENON_SHADERS_EMBED_PARAMS_H

#ifdef __cplusplus
#include <cstdint>
namespace tenon::shaders {
using uint = uint32_t;
#endif

struct EmbedParams {
    uint dispatch;      // entry of the step buffer
    uint step_words;    // word offset of error[]
    uint rows;          // table rows of this slice
    uint row_begin;     // first table row of this slice
    uint table_rows;    // table rows of all slices
    uint cols;          // columns of the table and of y
    uint lo_stride;     // 16-byte units from one row to the next: plane lo
    uint hi_stride;     // 32-bit words: plane hi
    uint scale_stride;  // 32-bit words: plane scale
    float scale;        // y = scale * table[id]
};

#ifdef __cplusplus
static_assert(sizeof(EmbedParams) == 40, "EmbedParams");
}  // namespace tenon::shaders
#endif

// Bindings of set 0. What a dispatch does not read is bound to any buffer.
#define TENON_EMBED_STEP 0
#define TENON_EMBED_IDS 1  // int[T]
#define TENON_EMBED_Y 2    // float[T][cols]
#define TENON_EMBED_LO 3
#define TENON_EMBED_HI 4
#define TENON_EMBED_SCALE 5
#define TENON_EMBED_BINDINGS 6

// Specialization constants; those of the table's layout are in include/decode.h.
#define TENON_EMBED_SPEC_LOCAL 0  // invocations of a workgroup

#endif
