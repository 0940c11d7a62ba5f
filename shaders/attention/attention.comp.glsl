#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "attention/params.h"
#include "attention/softmax.glsl"

// Positions whose scores are held before the softmax moves on.
const uint kGroup = 8;

vec4 queries[ROWS * K_CHUNKS * FOURS];
vec4 sums[ROWS * V_CHUNKS * FOURS];
float weights[kGroup * ROWS];  // scores, then weights
float tops[ROWS];
float totals[ROWS];

void load_queries(uint token, uint head, uint tokens) {
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        // Rows beyond the last are computed as the last one and not written.
        const uint row = min(token + r, tokens - 1);
        [[unroll]] for (uint c = 0; c < K_CHUNKS * FOURS; ++c)
            queries[r * K_CHUNKS * FOURS + c] = query(row, head, 4 * c);
    }
}

// Scores of eight positions from `first` on for the rows whose positions are first_row + r.
void score(uint keys, uint place, uint first, uint first_row, bool sound) {
    [[dont_unroll]] for (uint i = 0; i < kGroup; ++i) {
        const uint at = (keys + (place + i) * kv_row_words(KV, DIM_K)) / 4;
        const float key_scale = scale_of(keys, place + i, DIM_K);
        precise vec4 parts[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; ++r) parts[r] = vec4(0.0);
        [[unroll]] for (uint c = 0; c < K_CHUNKS; ++c) {
            const uvec4 words = pool4[at + c];
            [[unroll]] for (uint f = 0; f < FOURS; ++f) {
                const vec4 key = kv_decode(words, f);
                [[unroll]] for (uint r = 0; r < ROWS; ++r)
                    parts[r] = fma(queries[r * K_CHUNKS * FOURS + c * FOURS + f], key, parts[r]);
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
            const uint own = first_row + r;
            const bool seen = sound && first + i <= own && (params.window == 0 || first + i + params.window > own);
            weights[i * ROWS + r] = seen ? score_of(parts[r], key_scale) : kNothing;
        }
    }
}

// Scores become weights over the new top, to which what was summed before shrinks.
void weigh() {
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        float top = tops[r];
        [[unroll]] for (uint i = 0; i < kGroup; ++i) {
            const float score = weights[i * ROWS + r];
            top = score > top ? score : top;
        }
        precise const float shrink = weight_of(tops[r] - top);
        precise float total = 0.0;
        [[unroll]] for (uint i = 0; i < kGroup; ++i) {
            const float score = weights[i * ROWS + r];
            precise const float weight = score == kNothing ? 0.0 : weight_of(score - top);
            weights[i * ROWS + r] = weight;
            total += weight;
        }
        precise const float grown = fma(totals[r], shrink, total);
        totals[r] = grown;
        tops[r] = top;
        [[unroll]] for (uint c = 0; c < V_CHUNKS * FOURS; ++c)
            sums[r * V_CHUNKS * FOURS + c] = shrunk(sums[r * V_CHUNKS * FOURS + c], shrink);
    }
}

void add_values(uint values, uint place) {
    [[dont_unroll]] for (uint i = 0; i < kGroup; ++i) {
        const uint at = (values + (place + i) * kv_row_words(KV, DIM_V)) / 4;
        const float value_scale = scale_of(values, place + i, DIM_V);
        float weight[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; ++r) weight[r] = weights[i * ROWS + r];
        [[unroll]] for (uint c = 0; c < V_CHUNKS; ++c) {
            const uvec4 words = pool4[at + c];
            [[unroll]] for (uint f = 0; f < FOURS; ++f) {
                const vec4 value = kv_decode(words, f);
                [[unroll]] for (uint r = 0; r < ROWS; ++r) {
                    const uint to = r * V_CHUNKS * FOURS + c * FOURS + f;
                    precise const vec4 grown = fma(vec4(weight[r] * value_scale), value, sums[to]);
                    // What a row does not see must not reach it, not even as 0 times infinity.
                    sums[to] = weight[r] == 0.0 ? sums[to] : grown;
                }
            }
        }
    }
}

// The tokens first .. end - 1, at most ROWS, of one sequence; or of none, which gives zeros.
void attend(Sequence sequence, uint first, uint end, uint head, uint tokens) {
    load_queries(first, head, tokens);
    const bool with_sink = (params.flags & TENON_ATTENTION_SINKS) != 0;
    const float sink = with_sink ? sinks[head] : kNothing;
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        tops[r] = sink;
        totals[r] = with_sink ? 1.0 : 0.0;
        [[unroll]] for (uint c = 0; c < V_CHUNKS * FOURS; ++c) sums[r * V_CHUNKS * FOURS + c] = vec4(0.0);
    }
    const uint kv_head = head / (params.n_q_heads / params.n_kv_heads);
    // Position of token `first`, of the first one it sees, and behind the last one that is seen.
    const uint own = sequence.positions - (sequence.end - first);
    const uint begin = params.window != 0 && own + 1 > params.window ? own + 1 - params.window : 0;
    const uint last = own + (end - first);
    if (sequence.begin != sequence.end) {
        for (uint at = begin / kGroup * kGroup; at < last; at += kGroup) {
            uint block;
            const bool sound = find_block(sequence.index, at, block);
            const uint place = kv_head * params.block_tokens + at % params.block_tokens;
            score(keys_of(block), place, at, own, sound);
            weigh();
            add_values(values_of(block), place);
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        const float share = sequence.begin != sequence.end ? 1.0 / totals[r] : 0.0;
        if (first + r < end) {
            [[unroll]] for (uint c = 0; c < V_CHUNKS * FOURS; ++c)
                write_output(first + r, head, 4 * c, sums[r * V_CHUNKS * FOURS + c] * share);
        }
    }
}

void main() {
    const uint tokens = rows();
    const uint head = gl_GlobalInvocationID.x;
    uint token = gl_WorkGroupID.y * ROWS;
    if (head >= params.n_q_heads || token >= tokens) return;
    if (head == 0 && token == 0) check_starts(tokens);
    const uint end = min(token + ROWS, tokens);
    // Rows of several sequences, one after the other.
    while (token < end) {
        const Sequence sequence = sequence_of(token, tokens);
        const uint behind = sequence.begin != sequence.end ? min(sequence.end, end) : token + 1;
        attend(sequence, token, behind, head, tokens);
        token = behind;
    }
}
