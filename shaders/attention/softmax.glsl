// What the variants of PAGED_ATTN share: constants, buffers, where a token stands, and the arithmetic
// of one step of the softmax, whose order decides the bits.
layout(push_constant) uniform Push {
    AttentionParams params;
};

#include "include/step.glsl"
#include "include/math.glsl"

layout(local_size_x_id = TENON_ATTENTION_SPEC_LOCAL) in;
layout(local_size_x = 8) in;
layout(constant_id = TENON_ATTENTION_SPEC_KV) const uint KV = TENON_KV_F16;
layout(constant_id = TENON_ATTENTION_SPEC_DIM_K) const uint DIM_K = 64;
layout(constant_id = TENON_ATTENTION_SPEC_DIM_V) const uint DIM_V = 64;
layout(constant_id = TENON_ATTENTION_SPEC_ROWS) const uint ROWS = 1;

#include "include/kv.glsl"

layout(std430, set = 0, binding = TENON_ATTENTION_Q) readonly buffer Q {
    float q[];
};
layout(std430, set = 0, binding = TENON_ATTENTION_Q) readonly buffer Q4 {
    vec4 q4[];
};
layout(std430, set = 0, binding = TENON_ATTENTION_KV) readonly buffer Pool {
    uint pool[];
};
layout(std430, set = 0, binding = TENON_ATTENTION_KV) readonly buffer Pool4 {
    uvec4 pool4[];
};
layout(std430, set = 0, binding = TENON_ATTENTION_BLOCK_TABLE) readonly buffer BlockTable {
    int block_table[];
};
layout(std430, set = 0, binding = TENON_ATTENTION_KV_LEN) readonly buffer KvLen {
    int kv_len[];
};
layout(std430, set = 0, binding = TENON_ATTENTION_Q_START) readonly buffer QStart {
    int q_start[];
};
layout(std430, set = 0, binding = TENON_ATTENTION_SINKS_AT) readonly buffer Sinks {
    float sinks[];
};
layout(std430, set = 0, binding = TENON_ATTENTION_O) writeonly buffer O {
    float o[];
};
layout(std430, set = 0, binding = TENON_ATTENTION_O) writeonly buffer O4 {
    vec4 o4[];
};

// Four words of the pool hold FOURS times four elements; a key is K_CHUNKS times four words.
const uint FOURS = KV == TENON_KV_F32 ? 1 : (KV <= TENON_KV_BF16 ? 2 : 4);
const uint K_CHUNKS = (DIM_K + 4 * FOURS - 1) / (4 * FOURS);
const uint V_CHUNKS = (DIM_V + 4 * FOURS - 1) / (4 * FOURS);

// Lower than every score; not an infinity, so that differences stay numbers.
const float kNothing = -3.0e38;

// Four elements of a query from `c` on; 0 beyond its end.
vec4 query(uint token, uint head, uint c) {
    const uint at = (token * params.n_q_heads + head) * DIM_K + c;
    if (DIM_K % 4 == 0) return c < DIM_K ? q4[at / 4] : vec4(0.0);
    vec4 four = vec4(0.0);
    for (uint i = 0; i < 4; ++i)
        if (c + i < DIM_K) four[i] = q[at + i];
    return four;
}

void write_output(uint token, uint head, uint c, vec4 four) {
    const uint at = (token * params.n_q_heads + head) * DIM_V + c;
    if (DIM_V % 4 == 0) {
        if (c < DIM_V) o4[at / 4] = four;
        return;
    }
    for (uint i = 0; i < 4; ++i)
        if (c + i < DIM_V) o[at + i] = four[i];
}

// The tokens of one sequence in this step.
struct Sequence {
    uint index;
    uint begin, end;  // its tokens; none where begin == end
    uint positions;   // of the sequence, this step included
};

// The sequence of token t; without tokens when t is of none, or when its sequence is not sound.
Sequence sequence_of(uint token, uint tokens) {
    const uint count = step_buffer[params.sequences_word];
    Sequence found = Sequence(0, 0, 0, 0);
    // The last one that begins at t or before.
    uint low = 0;
    uint high = count;
    while (high - low > 1) {
        const uint middle = (low + high) / 2;
        if (q_start[middle] <= int(token)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (count == 0) return found;
    const int begin = q_start[low];
    const int end = q_start[low + 1];
    if (begin < 0 || begin > int(token) || end <= int(token) || end > int(tokens)) return found;
    const int length = kv_len[low];
    const uint blocks = (uint(max(length, 0)) + params.block_tokens - 1) / params.block_tokens;
    if (length < end - begin || blocks > params.table_width) {
        report(ERROR_SEQ_LEN, low, uint(length));
        return found;
    }
    return Sequence(low, uint(begin), uint(end), uint(length));
}

// One invocation of the dispatch looks at all starts.
void check_starts(uint tokens) {
    const uint count = step_buffer[params.sequences_word];
    int last = 0;
    for (uint s = 0; s <= count; ++s) {
        const int start = q_start[s];
        if (start < last || start > int(tokens) || (s == 0 && start != 0)) {
            report(ERROR_Q_START, s, uint(start));
            return;
        }
        last = start;
    }
}

// The block that holds a position; false, after a report, when the table names none.
bool find_block(uint sequence, uint position, out uint block) {
    const uint at = sequence * params.table_width + position / params.block_tokens;
    block = uint(block_table[at]);
    if (block < params.n_blocks) return true;
    report(ERROR_BLOCK_TABLE, at, block);
    block = 0;
    return false;
}

uint keys_of(uint block) {
    return block * kv_block_words(KV, params.n_kv_heads, DIM_K, DIM_V, params.block_tokens);
}

uint values_of(uint block) {
    return keys_of(block) + kv_side_words(KV, params.n_kv_heads, DIM_K, params.block_tokens);
}

// The scale of a row that lies at `place` of a side which starts at word `side`; 1 but for I8.
float scale_of(uint side, uint place, uint dim) {
    if (KV != TENON_KV_I8) return 1.0;
    return uintBitsToFloat(pool[side + params.n_kv_heads * params.block_tokens * kv_row_words(KV, dim) + place]);
}

// What a query's products with a key, summed in four, come to.
float score_of(vec4 parts, float key_scale) {
    precise float score = ((parts.x + parts.y) + (parts.z + parts.w)) * key_scale * params.scale;
    if (params.softcap > 0.0) score = params.softcap * tanh_of(score / params.softcap);
    return score;
}

// e^x for x <= 0; below the smallest normal number 0.
float weight_of(float x) {
    precise const float bounded = max(x, -87.0);
    precise const float k = roundEven(bounded * 1.44269504);
    precise float r = bounded - k * 0.693145752;
    r -= k * 1.42860677e-6;
    precise const float p = 0.5 + r * (0.166665122 + r * (0.0416661873 + r * (0.0083695985 + r * 0.00139517174)));
    precise const float e = (1.0 + (r + r * r * p)) * uintBitsToFloat(uint(int(k) + 127) << 23);
    return is_nan(x) ? x : (x < -87.0 ? 0.0 : e);
}

// sum * shrink. The choice keeps this product apart from the additions that follow: a compiler that
// contracts would fuse it with one of them here and not there.
vec4 shrunk(vec4 sum, float shrink) {
    precise const vec4 product = sum * shrink;
    return shrink == 1.0 ? sum : product;
}
