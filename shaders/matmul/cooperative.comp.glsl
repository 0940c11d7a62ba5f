// MATMUL and MATMUL_GLU of many tokens on a GPU that multiplies matrices of binary16: a workgroup
// decodes a tile of the weight, and copies one of x, block by block of 32 columns into shared memory,
// and each of its subgroups multiplies TOKENS x ROWS cooperative matrices out of it, adding in
// binary32. Sums go through shared memory to where finish() bounds them.
//
// Both factors keep 11 bits. So that nothing overflows or vanishes, a workgroup multiplies its x and
// its weights by a power of two each, chosen by the largest finite number it met so far and taken
// back at the end; when a larger one comes, the sums are scaled down to it. A row's bits therefore
// depend on the rows beside it: not for a program that promises DETERMINISTIC. Infinities and NaNs
// stay in their own rows. The conversion rounds as the device does, to nearest on known drivers.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#include "matmul/params.h"

layout(local_size_x_id = TENON_MATMUL_SPEC_LOCAL) in;
layout(constant_id = TENON_MATMUL_SPEC_LOCAL) const uint LOCAL = 32;
layout(constant_id = TENON_MATMUL_SPEC_TEAM) const uint TEAM = 1;
layout(constant_id = TENON_MATMUL_SPEC_SUBGROUP) const uint SUBGROUP = 32;
layout(constant_id = TENON_MATMUL_SPEC_MATRIX_TOKENS) const uint MATRIX_TOKENS = 16;
layout(constant_id = TENON_MATMUL_SPEC_MATRIX_ROWS) const uint MATRIX_ROWS = 16;
layout(constant_id = TENON_MATMUL_SPEC_MATRIX_COLS) const uint MATRIX_COLS = 16;
#include "matmul/product.glsl"

const uint SUBGROUPS = LOCAL / SUBGROUP;
const uint DOWN = SUBGROUPS / TEAM; // subgroups side by side along the rows
const uint TILE_ROWS = DOWN * ROWS * MATRIX_ROWS; // of each weight
const uint TILE_TOKENS = TEAM * TOKENS * MATRIX_TOKENS;
const uint W_ROWS = SETS * TILE_ROWS; // gate rows, then up rows
const uint EIGHTHS = TENON_BLOCK_COLS / 8;
const uint W_SHARE = (W_ROWS * EIGHTHS + LOCAL - 1) / LOCAL; // eighths of an invocation
const uint X_SHARE = (TILE_TOKENS * EIGHTHS + LOCAL - 1) / LOCAL;
// Fours from a row of a tile to the next: a multiple of 16 bytes, as matrices are loaded, and rows
// begin in different banks.
const uint STRIDE = TENON_BLOCK_COLS / 4 + 2;
const uint MATRIX = MATRIX_TOKENS * MATRIX_ROWS;

shared f16vec4 w_tile[W_ROWS * STRIDE];
shared f16vec4 x_tile[TILE_TOKENS * STRIDE];
shared float stage[SUBGROUPS * SETS * MATRIX]; // a matrix of sums of each subgroup and weight
shared uint w_peaks[SUBGROUPS];
shared uint x_peaks[SUBGROUPS];

const uint INFINITE_BITS = 0x7f800000u; // and above: no finite magnitude
const int EXPONENT_MOST = 100; // the scale while all numbers are below 2^-85
const int ROOM = 14;          // exponent above which a scaled number comes too near to 65504
const int BEGIN = 8;           // that of the largest when a scale is chosen

float two_to(int exponent) {
    return uintBitsToFloat(uint(exponent + 127) << 23);
}

uint highest(uvec4 four) {
    return max(max(four.x, four.y), max(four.z, four.w));
}

// The bits of the largest finite magnitude.
uint peak_of(vec4 first, vec4 second) {
    const uvec4 a = floatBitsToUint(first) & 0x7fffffffu;
    const uvec4 b = floatBitsToUint(second) & 0x7fffffffu;
    const uint peak = max(highest(a), highest(b));
    if (peak < INFINITE_BITS) return peak;
    return max(highest(mix(a, uvec4(0), greaterThanEqual(a, uvec4(INFINITE_BITS)))),
               highest(mix(b, uvec4(0), greaterThanEqual(b, uvec4(INFINITE_BITS)))));
}

// The exponent of the scale under which a peak has room: the same one, or a lower.
int fit(int exponent, uint peak) {
    const int size = int(peak >> 23) - 127;
    return size + exponent <= ROOM ? exponent : BEGIN - size;
}

// Eighth `share` of this invocation, of `count` rows of four: its row of the tile, and which.
bool find_eighth(uint share, uint count, out uint place, out uint eighth) {
    const uint index = share * LOCAL + gl_LocalInvocationID.x;
    place = index / EIGHTHS;
    eighth = index % EIGHTHS;
    return place < count;
}

// Rows and tokens beyond the last are read as the last and not written.
void load_w(uint share, uint row0, uint block, out vec4 first, out vec4 second) {
    uint place, eighth;
    first = second = vec4(0);
    if (!find_eighth(share, W_ROWS, place, eighth)) return;
    const uint set = place / TILE_ROWS;
    const uint row = min(row0 + place % TILE_ROWS, params.rows - 1);
    decode_eight(set, load_block(set, row, block), row, block, eighth, first, second);
}

void load_eight_of_x(uint share, uint token0, uint tokens, uint block, out vec4 first,
                     out vec4 second) {
    uint place, eighth;
    first = second = vec4(0);
    if (!find_eighth(share, TILE_TOKENS, place, eighth)) return;
    const uint token = min(token0 + place, tokens - 1);
    const uint column = block * TENON_BLOCK_COLS + eighth * 8;
    first = load_x(token, column);
    second = load_x(token, column + 4);
}

#define LOAD_SHARES(block)                                                                \
    {                                                                                     \
        [[unroll]] for (uint i = 0; i < W_SHARE; ++i)                                     \
            load_w(i, row0, block, w[2 * i], w[2 * i + 1]);                               \
        [[unroll]] for (uint i = 0; i < X_SHARE; ++i)                                     \
            load_eight_of_x(i, token0, tokens, block, x[2 * i], x[2 * i + 1]);            \
    }

void main() {
    const uint row0 = gl_WorkGroupID.x * TILE_ROWS;
    const uint token0 = gl_WorkGroupID.y * TILE_TOKENS;
    const uint tokens = rows();
    if (token0 >= tokens) return;
    // Where the matrices of this subgroup begin in the tile.
    const uint down0 = gl_SubgroupID % DOWN * ROWS * MATRIX_ROWS;
    const uint across0 = gl_SubgroupID / DOWN * TOKENS * MATRIX_TOKENS;

    coopmat<float, gl_ScopeSubgroup, MATRIX_TOKENS, MATRIX_ROWS, gl_MatrixUseAccumulator>
        sum[LANES * TOKENS];
    [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i)
        sum[i] = coopmat<float, gl_ScopeSubgroup, MATRIX_TOKENS, MATRIX_ROWS,
                         gl_MatrixUseAccumulator>(0.0);

    int w_exponent = EXPONENT_MOST, x_exponent = EXPONENT_MOST;
    vec4 w[2 * W_SHARE], x[2 * X_SHARE];
    const uint blocks = (params.cols + TENON_BLOCK_COLS - 1) / TENON_BLOCK_COLS;
    LOAD_SHARES(0)
    for (uint block = 0; block < blocks; ++block) {
        uint w_peak = 0, x_peak = 0;
        [[unroll]] for (uint i = 0; i < W_SHARE; ++i)
            w_peak = max(w_peak, peak_of(w[2 * i], w[2 * i + 1]));
        [[unroll]] for (uint i = 0; i < X_SHARE; ++i)
            x_peak = max(x_peak, peak_of(x[2 * i], x[2 * i + 1]));
        w_peak = subgroupMax(w_peak);
        x_peak = subgroupMax(x_peak);
        if (gl_SubgroupInvocationID == 0) {
            w_peaks[gl_SubgroupID] = w_peak;
            x_peaks[gl_SubgroupID] = x_peak;
        }
        barrier(); // the peaks are there, and nobody reads the tiles of the block before
        [[unroll]] for (uint i = 0; i < SUBGROUPS; ++i) {
            w_peak = max(w_peak, w_peaks[i]);
            x_peak = max(x_peak, x_peaks[i]);
        }
        const int before = w_exponent + x_exponent;
        w_exponent = fit(w_exponent, w_peak);
        x_exponent = fit(x_exponent, x_peak);
        const int change = w_exponent + x_exponent - before;
        if (change != 0) {
            const float factor = two_to(max(change, -126));
            [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i) sum[i] = sum[i] * factor;
        }
        const float w_scale = two_to(w_exponent), x_scale = two_to(x_exponent);
        uint place, eighth;
        [[unroll]] for (uint i = 0; i < W_SHARE; ++i) {
            if (find_eighth(i, W_ROWS, place, eighth)) {
                w_tile[place * STRIDE + 2 * eighth] = f16vec4(w[2 * i] * w_scale);
                w_tile[place * STRIDE + 2 * eighth + 1] = f16vec4(w[2 * i + 1] * w_scale);
            }
        }
        [[unroll]] for (uint i = 0; i < X_SHARE; ++i) {
            if (find_eighth(i, TILE_TOKENS, place, eighth)) {
                x_tile[place * STRIDE + 2 * eighth] = f16vec4(x[2 * i] * x_scale);
                x_tile[place * STRIDE + 2 * eighth + 1] = f16vec4(x[2 * i + 1] * x_scale);
            }
        }
        barrier();
        // On its way while the matrices are multiplied.
        if (block + 1 < blocks) LOAD_SHARES(block + 1)

        [[unroll]] for (uint column = 0; column < TENON_BLOCK_COLS; column += MATRIX_COLS) {
            coopmat<float16_t, gl_ScopeSubgroup, MATRIX_TOKENS, MATRIX_COLS, gl_MatrixUseA> a[TOKENS];
            [[unroll]] for (uint t = 0; t < TOKENS; ++t)
                coopMatLoad(a[t], x_tile, (across0 + t * MATRIX_TOKENS) * STRIDE + column / 4, STRIDE,
                            gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0; j < LANES; ++j) {
                coopmat<float16_t, gl_ScopeSubgroup, MATRIX_COLS, MATRIX_ROWS, gl_MatrixUseB> b;
                const uint row = j / ROWS * TILE_ROWS + down0 + j % ROWS * MATRIX_ROWS;
                coopMatLoad(b, w_tile, row * STRIDE + column / 4, STRIDE,
                            gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint t = 0; t < TOKENS; ++t)
                    sum[j * TOKENS + t] = coopMatMulAdd(a[t], b, sum[j * TOKENS + t]);
            }
        }
    }

    // In two steps: the power itself may be none of binary32.
    const int unscale = -(w_exponent + x_exponent);
    const float first_step = two_to(unscale / 2);
    const float second_step = two_to(unscale - unscale / 2);
    const uint own = gl_SubgroupID * SETS * MATRIX;
    [[unroll]] for (uint j = 0; j < ROWS; ++j) {
        [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
            barrier();
            [[unroll]] for (uint s = 0; s < SETS; ++s)
                coopMatStore(sum[(s * ROWS + j) * TOKENS + t], stage, own + s * MATRIX, MATRIX_ROWS,
                             gl_CooperativeMatrixLayoutRowMajor);
            barrier();
            for (uint i = gl_SubgroupInvocationID; i < MATRIX; i += SUBGROUP) {
                const uint row = row0 + down0 + j * MATRIX_ROWS + i % MATRIX_ROWS;
                const uint token = token0 + across0 + t * MATRIX_TOKENS + i / MATRIX_ROWS;
                if (row < params.rows && token < tokens)
                    finish(row, token, stage[own + i] * first_step * second_step,
                           stage[own + (SETS - 1) * MATRIX + i] * first_step * second_step);
            }
        }
    }
}
