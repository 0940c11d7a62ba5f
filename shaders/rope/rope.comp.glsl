#version 450
#extension GL_GOOGLE_include_directive : require
#include "rope/params.h"

layout(push_constant) uniform Push {
    RopeParams params;
};

#include "include/step.glsl"
#include "include/exact.glsl"
#include "include/math.glsl"

layout(local_size_x_id = TENON_ROPE_SPEC_LOCAL) in;
layout(local_size_x = 8) in;
layout(constant_id = TENON_ROPE_SPEC_STYLE) const uint STYLE = 0;
layout(constant_id = TENON_ROPE_SPEC_KV) const uint KV = TENON_KV_F16;

#include "include/kv.glsl"

layout(std430, set = 0, binding = TENON_ROPE_Q) readonly buffer Q {
    float q[];
};
layout(std430, set = 0, binding = TENON_ROPE_K) readonly buffer K {
    float k[];
};
layout(std430, set = 0, binding = TENON_ROPE_V) readonly buffer V {
    float v[];
};
layout(std430, set = 0, binding = TENON_ROPE_POSITIONS) readonly buffer Positions {
    int positions[];
};
layout(std430, set = 0, binding = TENON_ROPE_KV_SLOT) readonly buffer KvSlot {
    int kv_slot[];
};
layout(std430, set = 0, binding = TENON_ROPE_INV_FREQ) readonly buffer InvFreq {
    float inv_freq[];
};
layout(std430, set = 0, binding = TENON_ROPE_KV) writeonly buffer Pool {
    uint pool[];
};
layout(std430, set = 0, binding = TENON_ROPE_Q_GAIN_AT) readonly buffer QGain {
    float q_gain[];
};
layout(std430, set = 0, binding = TENON_ROPE_K_GAIN_AT) readonly buffer KGain {
    float k_gain[];
};
layout(std430, set = 0, binding = TENON_ROPE_Q_OUT) buffer QOut {
    float q_out[];
};

const uint kInterleaved = 1u;
const uint kHalves = 2u;

// A head of q, k or v of one token.
struct Head {
    uint kind;      // 0 q, 1 k, 2 v
    uint at;        // of its first element in its array
    uint dim;
    bool normed;
    float factor;   // of the norm
    float position;
};

float stored(Head head, uint element) {
    const uint at = head.at + element;
    float x;
    if (head.kind == 0u) {
        x = q[at];
    } else if (head.kind == 1u) {
        x = k[at];
    } else {
        x = v[at];
    }
    if (head.normed) {
        float gain;
        if (head.kind == 0u) {
            gain = q_gain[element];
        } else {
            gain = k_gain[element];
        }
        x = x * head.factor * gain;
    }
    return x;
}

// Elements `first` and `second` of pair `pair`, rotated.
vec2 rotated(Head head, uint pair, uint first, uint second) {
    const float a = stored(head, first);
    const float b = stored(head, second);
    precise const float angle = head.position * inv_freq[pair];
    const vec2 turn = cosine_and_sine(angle) * params.mscale;
    return vec2(a * turn.x - b * turn.y, a * turn.y + b * turn.x);
}

bool turns(Head head) {
    return STYLE != 0u && head.kind != 2u;
}

// One element, rotated where it is one of a pair.
float element_of(Head head, uint element) {
    if (!turns(head) || element >= params.rope_dim) return stored(head, element);
    if (STYLE == kInterleaved) {
        const vec2 both = rotated(head, element >> 1, element & ~1u, element | 1u);
        return (element & 1u) == 0u ? both.x : both.y;
    }
    const uint pairs = params.rope_dim / 2u;
    const bool low = element < pairs;
    const uint pair = low ? element : element - pairs;
    const vec2 both = rotated(head, pair, pair, pair + pairs);
    return low ? both.x : both.y;
}

float norm_factor(Head head, float epsilon) {
    precise float squares = 0.0;
    head.normed = false;
    for (uint c = 0u; c < head.dim; ++c) {
        const float x = stored(head, c);
        squares += x * x;
    }
    return 1.0 / sqrt(squares / float(head.dim) + epsilon);
}

// A head of q: pair by pair, so that q_out may be q.
void write_query(Head head) {
    uint begin = 0u;
    if (STYLE != 0u) {
        const uint pairs = params.rope_dim / 2u;
        for (uint pair = 0u; pair < pairs; ++pair) {
            const uint first = STYLE == kInterleaved ? 2u * pair : pair;
            const uint second = STYLE == kInterleaved ? first + 1u : pair + pairs;
            const vec2 both = rotated(head, pair, first, second);
            q_out[head.at + first] = both.x;
            q_out[head.at + second] = both.y;
        }
        begin = params.rope_dim;
    }
    for (uint c = begin; c < head.dim; ++c) q_out[head.at + c] = stored(head, c);
}

// x / divisor for positive numbers, rounded to nearest; 0 where the divisor is 0 or subnormal.
float quotient(float x, float divisor) {
    const uint bits = floatBitsToUint(divisor);
    if (bits < 0x00800000u) return 0.0;
    return uintBitsToFloat(divide_bits(difference_of(floatBitsToUint(x), 0u), bits));
}

// A head of k or v to its row of the pool, as whole words.
void write_row(Head head, uint row_at, uint scale_at) {
    const uint per_word = kv_per_word(KV);
    const uint row_words = kv_row_words(KV, head.dim);
    float scale = 1.0;
    bool finite = true;
    if (KV == TENON_KV_I8) {
        float largest = 0.0;
        for (uint c = 0u; c < head.dim; ++c) {
            const float x = abs(element_of(head, c));
            finite = finite && (floatBitsToUint(x) & 0x7f800000u) != 0x7f800000u;
            largest = max(largest, x);
        }
        scale = quotient(largest, 127.0);
        pool[scale_at] = finite ? floatBitsToUint(scale) : 0x7fc00000u;
    }
    const uint bits = 32u / per_word & 31u;
    uint word = 0u;
    const uint pairs = params.rope_dim / 2u;
    if (KV != TENON_KV_I8 && STYLE == kHalves && turns(head) && pairs % per_word == 0u) {
        // A pair's elements are in two words, and each is turned once.
        const uint apart = pairs / per_word;
        for (; word < apart; ++word) {
            uint low = 0u;
            uint high = 0u;
            for (uint i = 0u; i < per_word; ++i) {
                const uint pair = word * per_word + i;
                const vec2 both = rotated(head, pair, pair, pair + pairs);
                low |= kv_code(both.x) << (i * bits);
                high |= kv_code(both.y) << (i * bits);
            }
            pool[row_at + word] = low;
            pool[row_at + word + apart] = high;
        }
        word += apart;
    }
    for (; word < row_words; ++word) {
        uint packed = 0u;
        for (uint i = 0u; i < per_word; ++i) {
            const uint c = word * per_word + i;
            if (c >= head.dim) break;
            float x = element_of(head, c);
            if (KV == TENON_KV_I8) {
                const float code = finite ? quotient(abs(x), scale) : 0.0;
                x = x < 0.0 ? -code : code;
            }
            packed |= kv_code(x) << (i * bits);
        }
        pool[row_at + word] = packed;
    }
}

void main() {
    const uint token = gl_WorkGroupID.y;
    const uint q_heads = params.n_q_heads;
    const uint kv_heads = params.n_kv_heads;
    uint h = gl_GlobalInvocationID.x;
    if (token >= rows() || h >= q_heads + 2u * kv_heads) return;

    Head head;
    head.position = float(positions[token]);
    head.normed = false;
    head.factor = 1.0;
    head.dim = params.dim_k;
    if (h < q_heads) {
        head.kind = 0u;
        head.at = (token * q_heads + h) * params.dim_k;
        head.normed = (params.flags & TENON_ROPE_Q_GAIN) != 0u;
    } else if (h < q_heads + kv_heads) {
        h -= q_heads;
        head.kind = 1u;
        head.at = (token * kv_heads + h) * params.dim_k;
        head.normed = (params.flags & TENON_ROPE_K_GAIN) != 0u;
    } else {
        h -= q_heads + kv_heads;
        head.kind = 2u;
        head.dim = params.dim_v;
        head.at = (token * kv_heads + h) * params.dim_v;
    }
    if (head.normed) head.factor = norm_factor(head, params.epsilon);
    if (head.kind == 0u) {
        write_query(head);
        return;
    }

    const int slot = kv_slot[token];
    if (slot < 0) return;
    const uint block = uint(slot) / params.block_tokens;
    if (block >= params.n_blocks) {
        report(ERROR_KV_SLOT, token, uint(slot));
        return;
    }
    const uint place = h * params.block_tokens + uint(slot) % params.block_tokens;
    uint side = block * kv_block_words(KV, kv_heads, params.dim_k, params.dim_v, params.block_tokens);
    if (head.kind == 2u) side += kv_side_words(KV, kv_heads, params.dim_k, params.block_tokens);
    const uint row_words = kv_row_words(KV, head.dim);
    write_row(head, side + place * row_words,
              side + kv_heads * params.block_tokens * row_words + place);
}
