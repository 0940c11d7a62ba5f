// SAMPLE: one token of one row of logits, bit for bit.
//
// In this order:
//  1. A row that holds a NaN or +infinity, masked or not, comes from something broken: its answer is
//     token -1 with log probability -infinity. No other row is touched. -infinity is legal.
//  2. Candidates are the tokens with a finite logit whose mask bit is set. Without one, the answer is as
//     in 1.
//  3. Rank: higher logit first; equal logits by lower id.
//  4. temperature below 1e-6, or not a number: the first in rank, and nothing else matters (greedy).
//  5. below[i] = (logit[i] - best logit) / temperature, two float operations;
//     weight[i] = candidate_weight_q30(below[i]), an integer, so that no sum depends on its order.
//  6. top_k > 0 keeps the first top_k in rank.
//  7. top_p < 1: with P = trunc(2^24 * max(top_p, 0)) and target = floor(P * (sum of the kept weights) /
//     2^24), keeps each token for which the weights of those before it in rank sum to less than target;
//     the first in rank always stays.
//  8. min_p > 0 keeps the tokens with weight >= trunc(2^30 * min(min_p, 1)); the first stays.
//  9. The answer is the kept token with the highest below[i] + gumbel(noise_word(seed, position, i)), one
//     float sum; equal scores by lower id.
// logprob is the log-softmax at temperature 1 of all finite logits, before mask and filters. It alone may
// differ in its last bits between devices.
#pragma once

#include <tenon/reference/noise.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace tenon::reference {

// mask: bit i % 32 of word i / 32 allows token i; null allows all.
struct SampleParams {
    float temperature = 0;
    int32_t top_k = 0;
    float top_p = 1;
    float min_p = 0;
    uint64_t seed = 0;
    int32_t position = 0;
    const uint32_t* mask = nullptr;
};

struct Sampled {
    int32_t token = -1;
    float logprob = -std::numeric_limits<float>::infinity();
};

// Temperatures below it are greedy: smaller ones would overflow the scaled logits.
inline constexpr float kTemperatureMin = 1e-6f;

struct Candidate {
    int32_t token;
    float below;
    uint32_t weight;
};

inline float log_probability(const float* logits, int64_t vocabulary, int32_t token) {
    double top = -std::numeric_limits<double>::infinity();
    for (int64_t i = 0; i < vocabulary; ++i) {
        if (std::isfinite(logits[i])) top = std::max<double>(top, logits[i]);
    }
    double total = 0;
    for (int64_t i = 0; i < vocabulary; ++i) {
        if (std::isfinite(logits[i])) total += std::exp(logits[i] - top);
    }
    return static_cast<float>(logits[token] - top - std::log(total));
}

// Step 1.
inline bool is_broken(const float* logits, int64_t vocabulary) {
    return std::any_of(logits, logits + vocabulary,
                       [](float x) { return !(x < std::numeric_limits<float>::infinity()); });
}

// Steps 2 and 3.
inline std::vector<int32_t> ranked_candidates(const float* logits, int64_t vocabulary,
                                              const uint32_t* mask) {
    std::vector<int32_t> ranked;
    for (int64_t i = 0; i < vocabulary; ++i) {
        const bool allowed = mask == nullptr || (mask[i / 32] >> (i % 32) & 1u) != 0;
        if (allowed && std::isfinite(logits[i])) ranked.push_back(static_cast<int32_t>(i));
    }
    std::stable_sort(ranked.begin(), ranked.end(),
                     [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
    return ranked;
}

// Steps 6 to 8; `candidates` is in rank order and not empty.
inline void filter_candidates(std::vector<Candidate>& candidates, const SampleParams& how) {
    if (how.top_k > 0 && static_cast<size_t>(how.top_k) < candidates.size()) {
        candidates.resize(static_cast<size_t>(how.top_k));
    }
    if (how.top_p < 1.0f) {
        const uint64_t share = static_cast<uint64_t>(std::max(how.top_p, 0.0f) * 16777216.0f);
        uint64_t total = 0;
        for (const Candidate& c : candidates)
            total += c.weight;
        const uint64_t target = (total >> 24) * share + (((total & 0xffffffu) * share) >> 24);
        uint64_t before = candidates.front().weight;
        size_t kept = 1;
        while (kept < candidates.size() && before < target)
            before += candidates[kept++].weight;
        candidates.resize(kept);
    }
    if (how.min_p > 0.0f) {
        const uint32_t floor = static_cast<uint32_t>(std::min(how.min_p, 1.0f) * 1073741824.0f);
        candidates.erase(std::remove_if(candidates.begin() + 1, candidates.end(),
                                        [&](const Candidate& c) { return c.weight < floor; }),
                         candidates.end());
    }
}

inline Sampled sample(const float* logits, int64_t vocabulary, const SampleParams& how) {
    if (is_broken(logits, vocabulary)) return {};
    const std::vector<int32_t> ranked = ranked_candidates(logits, vocabulary, how.mask);
    if (ranked.empty()) return {};
    Sampled chosen{ranked.front(), 0};
    if (how.temperature >= kTemperatureMin) {
        std::vector<Candidate> candidates;
        for (const int32_t token : ranked) {
            const float difference = logits[token] - logits[ranked.front()];
            const float below = difference / how.temperature;
            candidates.push_back({token, below, candidate_weight_q30(below)});
        }
        filter_candidates(candidates, how);
        float best = 0;
        chosen.token = -1;
        for (const Candidate& c : candidates) {
            const float noise =
                gumbel(noise_word(how.seed, how.position, static_cast<uint32_t>(c.token)));
            const float score = c.below + noise;
            const bool wins = score > best || (score == best && c.token < chosen.token);
            if (chosen.token < 0 || wins) {
                best = score;
                chosen.token = c.token;
            }
        }
    }
    chosen.logprob = log_probability(logits, vocabulary, chosen.token);
    return chosen;
}

}  // namespace tenon::reference
