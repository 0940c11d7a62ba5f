#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_ballot : require
#endif
#include "attention/params.h"
#include "attention/softmax.glsl"

// The LOCAL lanes first score one position each, then add up the values of all LOCAL positions, each
// the elements that are its own.
#define LANES gl_WorkGroupSize.x
#define LANE gl_LocalInvocationID.x
const uint kRun = 8;  // positions that lie in one block for certain

// Runs of four words of a value that are one lane's.
const uint SLOTS = (V_CHUNKS + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;

vec4 queries[ROWS * K_CHUNKS * FOURS];
vec4 sums[ROWS * SLOTS * FOURS];
float scores[ROWS];
float tops[ROWS];
float totals[ROWS];
float shrinks[ROWS];

#ifndef SUBGROUP
shared float shared_scores[TENON_ATTENTION_ROWS_MAX * TENON_ATTENTION_LOCAL_MAX];
shared float shared_weights[TENON_ATTENTION_ROWS_MAX * TENON_ATTENTION_LOCAL_MAX];
#define SHARED_AT(row, lane) ((row) * TENON_ATTENTION_LOCAL_MAX + (lane))
#endif

void load_queries(uint token, uint first_head) {
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        const uint head = min(first_head + r, params.n_q_heads - 1);
        [[unroll]] for (uint c = 0; c < K_CHUNKS * FOURS; ++c)
            queries[r * K_CHUNKS * FOURS + c] = query(token, head, 4 * c);
    }
}

// The scores of one position.
void score(uint keys, uint place, bool seen) {
    const uint at = (keys + place * kv_row_words(KV, DIM_K)) / 4;
    const float key_scale = scale_of(keys, place, DIM_K);
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
    [[unroll]] for (uint r = 0; r < ROWS; ++r) scores[r] = seen ? score_of(parts[r], key_scale) : kNothing;
}

// The scores of all lanes become weights over the new top, to which what was summed before shrinks.
void weigh() {
#ifndef SUBGROUP
    [[unroll]] for (uint r = 0; r < ROWS; ++r) shared_scores[SHARED_AT(r, LANE)] = scores[r];
    barrier();
#endif
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        float top = tops[r];
        [[unroll]] for (uint i = 0; i < LANES; ++i) {
#ifdef SUBGROUP
            const float score = subgroupBroadcast(scores[r], i);
#else
            const float score = shared_scores[SHARED_AT(r, i)];
#endif
            top = score > top ? score : top;
        }
        shrinks[r] = weight_of(tops[r] - top);
        scores[r] = scores[r] == kNothing ? 0.0 : weight_of(scores[r] - top);
        tops[r] = top;
    }
#ifndef SUBGROUP
    [[unroll]] for (uint r = 0; r < ROWS; ++r) shared_weights[SHARED_AT(r, LANE)] = scores[r];
    barrier();
#endif
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        precise float total = 0.0;
        [[unroll]] for (uint i = 0; i < LANES; ++i) {
#ifdef SUBGROUP
            total += subgroupBroadcast(scores[r], i);
#else
            total += shared_weights[SHARED_AT(r, i)];
#endif
        }
        precise const float grown = fma(totals[r], shrinks[r], total);
        totals[r] = grown;
        [[unroll]] for (uint c = 0; c < SLOTS * FOURS; ++c)
            sums[r * SLOTS * FOURS + c] = shrunk(sums[r * SLOTS * FOURS + c], shrinks[r]);
    }
}

// Adds the values of eight positions, those of the lanes first_lane .. first_lane + 7.
void add_values(uint values, uint place, uint first_lane) {
    [[unroll]] for (uint i = 0; i < kRun; ++i) {
        const uint row = (values + (place + i) * kv_row_words(KV, DIM_V)) / 4;
        const float value_scale = scale_of(values, place + i, DIM_V);
        float weight[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
#ifdef SUBGROUP
            weight[r] = subgroupBroadcast(scores[r], first_lane + i);
#else
            weight[r] = shared_weights[SHARED_AT(r, first_lane + i)];
#endif
        }
        [[unroll]] for (uint slot = 0; slot < SLOTS; ++slot) {
            const uint c = min(slot * LANES + LANE, V_CHUNKS - 1);
            const uvec4 words = pool4[row + c];
            [[unroll]] for (uint f = 0; f < FOURS; ++f) {
                const vec4 value = kv_decode(words, f);
                [[unroll]] for (uint r = 0; r < ROWS; ++r) {
                    const uint to = (r * SLOTS + slot) * FOURS + f;
                    precise const vec4 grown = fma(vec4(weight[r] * value_scale), value, sums[to]);
                    // What a row does not see must not reach it, not even as 0 times infinity.
                    sums[to] = weight[r] == 0.0 ? sums[to] : grown;
                }
            }
        }
    }
}

void main() {
    const uint tokens = rows();
    const uint token = gl_WorkGroupID.y;
    const uint group_heads = params.n_q_heads / params.n_kv_heads;
    const uint tiles = (group_heads + ROWS - 1) / ROWS;
    const uint kv_head = gl_WorkGroupID.x / tiles;
    const uint first_row = gl_WorkGroupID.x % tiles * ROWS;
    const uint first_head = kv_head * group_heads + first_row;
    if (token >= tokens) return;
    if (gl_WorkGroupID.x == 0 && token == 0 && LANE == 0) check_starts(tokens);

    const Sequence sequence = sequence_of(token, tokens);
    load_queries(token, first_head);
    const bool with_sink = (params.flags & TENON_ATTENTION_SINKS) != 0;
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        tops[r] = with_sink ? sinks[min(first_head + r, params.n_q_heads - 1)] : kNothing;
        totals[r] = with_sink ? 1.0 : 0.0;
        [[unroll]] for (uint c = 0; c < SLOTS * FOURS; ++c) sums[r * SLOTS * FOURS + c] = vec4(0.0);
    }
    const bool of_one = sequence.begin != sequence.end;
    const uint own = sequence.positions - (sequence.end - token);
    const uint begin = params.window != 0 && own + 1 > params.window ? own + 1 - params.window : 0;
    const uint last = of_one ? own + 1 : 0;
    for (uint at = begin / LANES * LANES; at < last; at += LANES) {
        const uint position = at + LANE;
        bool seen = position <= own && position >= begin;
        uint block = 0;
        if (seen) seen = find_block(sequence.index, position, block);
        const uint place = kv_head * params.block_tokens + position % params.block_tokens;
        score(keys_of(block), place, seen);
        weigh();
        for (uint run = 0; run < LANES; run += kRun) {
            if (at + run >= last) break;
            uint run_block;
            find_block(sequence.index, at + run, run_block);
            add_values(values_of(run_block), kv_head * params.block_tokens + (at + run) % params.block_tokens, run);
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        const float share = of_one ? 1.0 / totals[r] : 0.0;
        if (first_row + r < group_heads) {
            [[unroll]] for (uint slot = 0; slot < SLOTS; ++slot) {
                const uint c = slot * LANES + LANE;
                [[unroll]] for (uint f = 0; f < FOURS; ++f) {
                    if (c < V_CHUNKS)
                        write_output(token, first_head + r, 4 * (c * FOURS + f), sums[(r * SLOTS + slot) * FOURS + f] * share);
                }
            }
        }
    }
}
