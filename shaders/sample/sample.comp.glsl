// SAMPLE: one workgroup per row, bit for bit as tenon/reference/sample.h, without its sort. What
// top_k and top_p keep is all that ranks no lower than one token, the cut. The cut is found by the
// digits of its key, from the highest: a histogram of 256 bins per digit holds counts or weights,
// and the bin in which their sum, from the top, reaches the target is the digit. Every such sum is
// an integer, so no order of adding matters.
#version 450
#extension GL_GOOGLE_include_directive : require

#include "sample/params.h"

layout(local_size_x_id = SAMPLE_SPEC_LANES) in;
layout(constant_id = SAMPLE_SPEC_LANES) const uint LANES = SAMPLE_LANES;

layout(push_constant) uniform Push { SampleParams params; };

#define STEP_READS_ONLY
#include "include/step.glsl"
#include "include/exact.glsl"
#include "include/noise.glsl"

layout(std430, binding = SAMPLE_LOGITS) readonly buffer Logits { uint logits[]; };
layout(std430, binding = SAMPLE_TEMPERATURE) readonly buffer Temperature { uint temperatures[]; };
layout(std430, binding = SAMPLE_TOP_K) readonly buffer TopK { int top_ks[]; };
layout(std430, binding = SAMPLE_TOP_P) readonly buffer TopP { uint top_ps[]; };
layout(std430, binding = SAMPLE_MIN_P) readonly buffer MinP { uint min_ps[]; };
layout(std430, binding = SAMPLE_SEED) readonly buffer Seed { uint seeds[]; };
layout(std430, binding = SAMPLE_POSITION) readonly buffer Position { uint positions[]; };
layout(std430, binding = SAMPLE_MASK) readonly buffer Mask { uint masks[]; };
layout(std430, binding = SAMPLE_TOKEN) writeonly buffer Token { int tokens[]; };
layout(std430, binding = SAMPLE_LOGPROB) writeonly buffer Logprob { uint logprobs[]; };

const uint kNoToken = 0xffffffffu;
const uint kTemperatureMinBits = 0x358637bdu;  // 1e-6
const uint kOne = 0x3f800000u;
const uint kMinusInfinity = 0xff800000u;
const uint kBins = 256u;
const uint kGroups = 16u;  // of 16 bins

// What a histogram adds up.
const uint kCountKeys = 0u;    // candidates, by the key of their logit
const uint kWeighKeys = 1u;    // weights of candidates, by the key of their logit
const uint kCountTokens = 2u;  // candidates of one key, lower ids first

shared uint bins_low[kBins];
shared uint bins_high[kBins];
shared uint groups_low[kGroups];
shared uint groups_high[kGroups];
shared uint found_digit;
shared uvec2 found_above;
shared uvec2 found_at;
shared uvec2 found_target;
shared uint highest;     // key
shared uint highest_id;
shared uint winner;      // key of the highest score
shared uint winner_id;
shared uint top_key;     // of all finite logits
shared uint broken;
shared uint candidates;
shared float sums[LANES];

uint lane;
uint row_base;     // of the logits
uint mask_base;
uint temperature;  // bits
uint best_bits;    // of the first in rank
uint best_id;
// Kept are the keys above the cut, and of those equal to it the ids up to cut_id.
uint cut_key;
uint cut_id;

bool allowed(uint token) {
    if (params.mask_words == 0u) return true;
    return ((masks[mask_base + token / 32u] >> (token % 32u)) & 1u) != 0u;
}

// The key of a candidate that the cut keeps; 0 for every other token.
uint kept_key(uint token) {
    const uint bits = logits[row_base + token];
    if (!is_finite_bits(bits)) return 0u;
    const uint key = order_key(bits);
    if (key < cut_key || (key == cut_key && token > cut_id) || !allowed(token)) return 0u;
    return key;
}

// How far a logit lies below the best one: the bits of -below, >= 0.
uint below_of(uint bits) {
    return divide_bits(difference_of(best_bits, bits), temperature);
}

uint weight_of(uint bits) { return candidate_weight_q30(below_of(bits)); }

// The key of below + noise. Noise of 0 apart, the sum of a subnormal `below` is the noise either
// way.
uint score_of(uint bits, uint word) {
    const uint below = below_of(bits);
    if (below >= kInfinityBits) return order_key(kMinusInfinity);
    const float noise = gumbel(word);
    precise float score = uintBitsToFloat(below | 0x80000000u) + noise;
    return order_key(noise == 0.0 ? below | 0x80000000u : floatBitsToUint(score));
}

void add_to_bin(uint bin, uint weight) {
    const uint before = atomicAdd(bins_low[bin], weight);
    if (before + weight < before) atomicAdd(bins_high[bin], 1u);
}

// Adds up one digit, at bit `shift`, of all that have the digits of `prefix` above it.
void fill_bins(uint what, uint shift, uint prefix, uint only_key) {
    for (uint bin = lane; bin < kBins; bin += LANES) {
        bins_low[bin] = 0u;
        bins_high[bin] = 0u;
    }
    barrier();
    for (uint token = lane; token < params.vocabulary; token += LANES) {
        const uint key = kept_key(token);
        if (key == 0u || (what == kCountTokens && key != only_key)) continue;
        const uint place = what == kCountTokens ? ~token : key;
        if ((place >> shift) >> 8 != prefix) continue;
        add_to_bin((place >> shift) & 255u, what == kWeighKeys ? weight_of(bits_of_key(key)) : 1u);
    }
    barrier();
    for (uint group = lane; group < kGroups; group += LANES) {
        uvec2 sum = uvec2(0u);
        for (uint bin = group * 16u; bin < group * 16u + 16u; ++bin)
            sum = add_wide(sum, uvec2(bins_low[bin], bins_high[bin]));
        groups_low[group] = sum.x;
        groups_high[group] = sum.y;
    }
    barrier();
}

// First sum of weights that ends what top_p keeps: floor(share * total / 2^24), at least 1.
uvec2 target_of(uvec2 total, uint share) {
    uvec2 high;  // (total >> 24) * share; total is below 2^62
    umulExtended((total.x >> 24) | (total.y << 8), share, high.y, high.x);
    high.y += (total.y >> 24) * share;
    uvec2 low;   // (total % 2^24) * share >> 24
    umulExtended(total.x & 0xffffffu, share, low.y, low.x);
    const uvec2 target = add_wide(high, (low.x >> 24) | (low.y << 8));
    return target == uvec2(0u) ? uvec2(1u, 0u) : target;
}

// Walks down from the highest bin, behind a sum of `above`, to the one in which it reaches the
// target.
void find_digit(uvec2 above, uvec2 target) {
    uint group = kGroups - 1u;
    for (; group > 0u; --group) {
        const uvec2 next = add_wide(above, uvec2(groups_low[group], groups_high[group]));
        if (!less_wide(next, target)) break;
        above = next;
    }
    uint bin = group * 16u + 15u;
    for (; bin > group * 16u; --bin) {
        const uvec2 next = add_wide(above, uvec2(bins_low[bin], bins_high[bin]));
        if (!less_wide(next, target)) break;
        above = next;
    }
    found_digit = bin;
    found_above = above;
    found_at = uvec2(bins_low[bin], bins_high[bin]);
    found_target = target;
}

// The place whose digits the target is reached at; found_above, found_at and found_target tell
// more. For kWeighKeys the target is the one of a share, `wanted`.
uint find_place(uint what, uint first_shift, uint wanted, uint only_key) {
    uvec2 target = uvec2(wanted, 0u);
    uint place = what == kCountTokens ? (0xffffffffu >> first_shift) >> 8 : 0u;
    uvec2 above = uvec2(0u);
    for (uint shift = first_shift;; shift -= 8u) {
        fill_bins(what, shift, place, only_key);
        if (lane == 0u) {
            if (what == kWeighKeys && shift == first_shift) {
                uvec2 total = uvec2(0u);
                for (uint group = 0u; group < kGroups; ++group)
                    total = add_wide(total, uvec2(groups_low[group], groups_high[group]));
                target = target_of(total, wanted);
            }
            find_digit(above, target);
        }
        barrier();
        place = (place << 8) | found_digit;
        above = found_above;
        target = found_target;
        if (shift == 0u) return place;
    }
}

// How many tokens of a key, all of one weight, follow found_above until their sum reaches
// found_target; the sum is found_at if they are all.
uint ties_of(uint weight, out uvec2 sum) {
    uint before = 0u;
    for (uint bit = 0x80000000u; bit != 0u; bit >>= 1) {
        umulExtended(before | bit, weight, sum.y, sum.x);
        if (less_wide(add_wide(sum, found_above), found_target)) before |= bit;
    }
    umulExtended(before + 1u, weight, sum.y, sum.x);
    return before + 1u;
}

// Moves the cut to what top_k (0: all) and then top_p (a share of 2^24; more: all) leave. Each is
// two searches, for a key and for the last token where the cut falls among several of that key. One
// loop holds the code of all four, because a device compiles each copy of it.
void keep(uint top_k, uint share) {
    const uint id_shift =
        params.vocabulary <= 0x10000u ? 8u : (params.vocabulary <= 0x1000000u ? 16u : 24u);
    bool inside = false;
    uint key = 0u;
    uint ties = 0u;
    for (uint search = 0u; search < 4u; ++search) {
        uint what = kCountTokens;
        uint target = ties;
        if (search == 0u) {
            if (top_k == 0u) continue;
            what = kCountKeys;
            target = top_k;
        } else if (search == 2u) {
            if (share >= 1u << 24) continue;
            what = kWeighKeys;
            target = share;
        } else if (!inside) {
            continue;
        }
        const uint place = find_place(what, what == kCountTokens ? id_shift : 24u, target, key);
        if (what == kCountTokens) {
            cut_id = ~place;
            inside = false;
            continue;
        }
        key = place;
        uvec2 sum;
        ties = ties_of(what == kWeighKeys ? weight_of(bits_of_key(key)) : 1u, sum);
        inside = sum != found_at;
        // An earlier cut among the tokens of this very key still stands.
        if (key != cut_key) cut_id = kNoToken;
        cut_key = key;
    }
}

// The kept token of the highest score; `floor_weight` is what min_p asks for.
uint draw(uint row, uint floor_weight) {
    const uvec2 seed = uvec2(seeds[2u * row], seeds[2u * row + 1u]);
    const uint position = positions[row];
    uint my_score = score_of(best_bits, noise_words(seed, position, best_id / 4u)[best_id % 4u]);
    uint my_id = best_id;
    const float best = uintBitsToFloat(best_bits);
    const float per_temperature = 1.0 / uintBitsToFloat(temperature);
    for (uint block = lane; block < (params.vocabulary + 3u) / 4u; block += LANES) {
        const uvec4 words = noise_words(seed, position, block);
        for (uint i = 0u; i < 4u; ++i) {
            const uint token = block * 4u + i;
            if (token >= params.vocabulary) break;
            const uint bits = logits[row_base + token];
            if (!is_finite_bits(bits)) continue;
            // Cannot win, with room for the rounding of this estimate.
            const float about = (best - uintBitsToFloat(bits)) * per_temperature;
            const float reach = gumbel_bound(words[i]) - uintBitsToFloat(bits_of_key(my_score));
            if (about * 0.9999 > reach + 0.001 || kept_key(token) == 0u) continue;
            if (floor_weight != 0u && token != best_id && weight_of(bits) < floor_weight) continue;
            const uint score = score_of(bits, words[i]);
            if (score > my_score || (score == my_score && token < my_id)) {
                my_score = score;
                my_id = token;
            }
        }
    }
    atomicMax(winner, my_score);
    barrier();
    if (my_score == winner) atomicMin(winner_id, my_id);
    barrier();
    return winner_id;
}

// The first in rank as highest and highest_id, the number of candidates, the highest finite logit.
void survey() {
    if (lane == 0u) {
        highest = 0u;
        highest_id = kNoToken;
        top_key = 0u;
        broken = 0u;
        candidates = 0u;
        winner = 0u;
        winner_id = kNoToken;
    }
    barrier();
    uint my_top = 0u;
    uint my_best = 0u;
    uint my_id = kNoToken;
    uint my_candidates = 0u;
    bool my_broken = false;
    for (uint token = lane; token < params.vocabulary; token += LANES) {
        const uint bits = logits[row_base + token];
        my_broken = my_broken || is_broken_bits(bits);
        if (!is_finite_bits(bits)) continue;
        const uint key = order_key(bits);
        my_top = max(my_top, key);
        if (!allowed(token)) continue;
        ++my_candidates;
        if (key > my_best) {
            my_best = key;
            my_id = token;
        }
    }
    if (my_broken) atomicOr(broken, 1u);
    atomicMax(top_key, my_top);
    atomicMax(highest, my_best);
    atomicAdd(candidates, my_candidates);
    barrier();
    if (my_best == highest) atomicMin(highest_id, my_id);
    barrier();
}

// Log-softmax of one token over all finite logits, in one order of adding for one number of lanes.
uint log_probability(uint token) {
    const float top = uintBitsToFloat(bits_of_key(top_key));
    float total = 0.0;
    for (uint first = lane; first < params.vocabulary; first += LANES * 64u) {
        float part = 0.0;
        for (uint i = 0u; i < 64u; ++i) {
            const uint at = first + i * LANES;
            if (at >= params.vocabulary) break;
            const uint bits = logits[row_base + at];
            if (is_finite_bits(bits)) part += exp(max(uintBitsToFloat(bits) - top, -104.0));
        }
        total += part;
    }
    sums[lane] = total;
    barrier();
    for (uint half_lanes = LANES / 2u; half_lanes > 0u; half_lanes /= 2u) {
        if (lane < half_lanes) sums[lane] += sums[lane + half_lanes];
        barrier();
    }
    return floatBitsToUint((uintBitsToFloat(logits[row_base + token]) - top) - log(sums[0]));
}

// The row's parameters applied in the order of tenon/reference/sample.h.
uint choose(uint row) {
    temperature = temperatures[row];
    best_id = highest_id;
    // Negative numbers and NaN have higher bits.
    if (temperature < kTemperatureMinBits || temperature > kInfinityBits) return best_id;
    best_bits = logits[row_base + best_id];
    cut_key = 0u;
    cut_id = kNoToken;
    const int top_k = top_ks[row];
    const uint top_p = top_ps[row];
    uint share = 1u << 24;
    if (top_p < kOne) share = fixed_point(top_p, 24u);
    if (top_p >= 0x80000000u && top_p <= kMinusInfinity) share = 0u;
    keep(top_k > 0 && uint(top_k) < candidates ? uint(top_k) : 0u, share);
    const uint min_p = min_ps[row];
    return draw(row, min_p <= kInfinityBits ? fixed_point(min_p, 30u) : 0u);
}

void main() {
    if (gl_WorkGroupID.x >= rows()) return;
    lane = gl_LocalInvocationID.x;
    const uint row = params.first_row + gl_WorkGroupID.x;
    row_base = gl_WorkGroupID.x * params.vocabulary;
    mask_base = row * params.mask_words;
    survey();
    const bool nothing = broken != 0u || highest == 0u;
    const uint token = nothing ? kNoToken : choose(row);
    uint logprob = kMinusInfinity;
    if (!nothing && (params.flags & SAMPLE_HAS_LOGPROB) != 0u) logprob = log_probability(token);
    if (lane == 0u) {
        tokens[row] = int(token);
        if ((params.flags & SAMPLE_HAS_LOGPROB) != 0u) logprobs[row] = logprob;
    }
}
