#pragma once

#include "kernels/cpu/simd/simd-inl.h"
#include "kernels/include/tenon/kernels/draw.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

// 2^-x, x in [0, 1), as tenon/reference/noise.h has it: this file may include no inline function.
constexpr int32_t kExp2Negative[] = {1 << 30,  -744260973, 257938912, -59582935,
                                     10286296, -1369601,   117391};

constexpr float kOctavesEnd = 1040187392.0f;  // 31 * 2^25: from here on a weight is 0

uint64_t weigh(const DrawArgs& a, uint32_t* weights) {
    uint64_t total = 0;
    for (uint32_t at = 0; at < a.count; at += kLanes) {
        const uint32_t here = a.count - at < kLanes ? a.count - at : kLanes;
        const F logit = load_first(a.logits + at, here);
        const F below = div_lanes(sub(logit, set(a.best)), set(a.temperature));
        float numbers[kLanes], octaves[kLanes];
        store(numbers, logit);
        store(octaves,
              max_lanes(min_lanes(mul(below, set(-48408812.0f)), set(kOctavesEnd)), set(-1.0f)));
        int32_t shift[kLanes], x[kLanes], sum[kLanes];
        for (uint32_t i = 0; i < kLanes; ++i) {
            const int32_t n = static_cast<int32_t>(octaves[i]);
            const bool in = (octaves[i] >= 0.0f) & (numbers[i] >= a.lowest);
            shift[i] = in ? n >> 25 : 31;  // 31 leaves nothing
            x[i] = (n & 0x1ffffff) << 6;
            sum[i] = kExp2Negative[6];
        }
        for (int k = 5; k >= 0; --k) {
            const int32_t coefficient = kExp2Negative[k];
            for (uint32_t i = 0; i < kLanes; ++i) {
                const int64_t product = int64_t{sum[i]} * int64_t{x[i]};
                sum[i] = coefficient + static_cast<int32_t>(static_cast<uint64_t>(product) >> 31);
            }
        }
        uint32_t weight[kLanes];
        for (uint32_t i = 0; i < kLanes; ++i)
            weight[i] = i < here ? static_cast<uint32_t>(sum[i]) >> shift[i] : 0u;
        for (uint32_t i = 0; i < kLanes; ++i)
            total += weight[i];
        __builtin_memcpy(weights + at, weight, here * sizeof weight[0]);
    }
    return total;
}

constexpr uint32_t kGroupTokens = 4 * kLanes;  // four words of a block for each lane

// The noise words of 64 tokens from `first`, in order.
TENON_INLINE void noise_words(const DrawArgs& a, uint32_t first, uint32_t* words) {
    uint32_t w0[kLanes], w1[kLanes], w2[kLanes], w3[kLanes];
    for (uint32_t i = 0; i < kLanes; ++i) {
        w0[i] = first / 4 + i;
        w1[i] = static_cast<uint32_t>(a.position);
        w2[i] = w3[i] = 0;
    }
    uint32_t key0 = static_cast<uint32_t>(a.seed);
    uint32_t key1 = static_cast<uint32_t>(a.seed >> 32);
    for (int round = 0; round < 10; ++round) {
        for (uint32_t i = 0; i < kLanes; ++i) {
            const uint64_t p = uint64_t{0xD2511F53u} * w0[i];
            const uint64_t q = uint64_t{0xCD9E8D57u} * w2[i];
            const uint32_t n0 = static_cast<uint32_t>(q >> 32) ^ w1[i] ^ key0;
            const uint32_t n2 = static_cast<uint32_t>(p >> 32) ^ w3[i] ^ key1;
            w0[i] = n0;
            w1[i] = static_cast<uint32_t>(q);
            w2[i] = n2;
            w3[i] = static_cast<uint32_t>(p);
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    for (uint32_t i = 0; i < kLanes; ++i) {
        words[4 * i] = w0[i];
        words[4 * i + 1] = w1[i];
        words[4 * i + 2] = w2[i];
        words[4 * i + 3] = w3[i];
    }
}

// With v = 2^32 - 1 - word, the noise is at most 32 ln 2 - ln(v + 0.5): a token is out when v is above
// exp(below + 32 ln 2 - highest). 22.2 leaves 0.02 for the roundings of both sides.
uint32_t contend(const DrawArgs& a, uint32_t begin, uint32_t end, float highest, uint32_t* ids) {
    const F best = set(a.best);
    const F scale = set(1.0f / a.temperature);
    const F slack = set(22.2f - highest);
    uint32_t found = 0;
    for (uint32_t at = begin; at < end; at += kGroupTokens) {
        const uint32_t here = end - at < kGroupTokens ? end - at : kGroupTokens;
        float logit[kGroupTokens];
        float limit[kGroupTokens];  // half of what v may be
        F top = set(-__builtin_inff());
        for (uint32_t i = 0; i < kGroupTokens; i += kLanes) {
            const uint32_t count = here > i ? here - i : 0;
            const F x = select_range(load_first(a.logits + at + i, count), 0, count,
                                     set(-__builtin_inff()));
            store(logit + i, x);
            top = max_lanes(x, top);
        }
        // The noise is below 23.
        const float largest = largest_lane(top);
        if (largest < a.lowest || (largest - a.best) / a.temperature + 23.0f < highest) continue;
        for (uint32_t i = 0; i < kGroupTokens; i += kLanes) {
            const F below = mul(sub(load(logit + i), best), scale);
            store(limit + i, mul(exp_lanes(add(below, slack)), set(0.5f)));
        }
        uint32_t words[kGroupTokens];
        noise_words(a, at, words);
        uint8_t in[kGroupTokens];
        uint8_t any = 0;
        for (uint32_t i = 0; i < kGroupTokens; ++i) {
            const float half = static_cast<float>(static_cast<int32_t>(~words[i] >> 1));
            in[i] = static_cast<uint8_t>(!(half > limit[i]) & (logit[i] >= a.lowest));
            any |= in[i];
        }
        if (any == 0) continue;
        for (uint32_t i = 0; i < here; ++i)
            if (in[i] != 0) ids[found++] = at + i;
    }
    return found;
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
