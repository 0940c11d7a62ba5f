#include "core/sampling/host_sampler.h"

#include <tenon/reference/sample.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace tenon::sampling {

namespace {

using reference::Candidate;

constexpr size_t kSortedFirst = 256;  // ranks that top_p usually needs

struct Row {
    std::span<const float> logits;

    // Rank: higher logit first, equal ones by lower id.
    bool operator()(int32_t a, int32_t b) const {
        const float left = logits[static_cast<size_t>(a)], right = logits[static_cast<size_t>(b)];
        return left > right || (left == right && a < b);
    }
};

// The best token, or -1: a logit is NaN or +infinity, or none is finite.
int32_t best_of(std::span<const float> logits) {
    int32_t best = -1;
    float highest = -std::numeric_limits<float>::infinity();
    for (size_t i = 0; i < logits.size(); ++i) {
        const float logit = logits[i];
        if (!(logit < std::numeric_limits<float>::infinity())) return -1;
        if (logit > highest) {
            highest = logit;
            best = static_cast<int32_t>(i);
        }
    }
    return best;
}

// Puts the first `count` ranks of `ids` in order; those before `sorted` are already.
void rank(std::vector<int32_t>& ids, size_t sorted, size_t count, const Row& row) {
    const auto begin = ids.begin() + static_cast<ptrdiff_t>(sorted);
    const auto middle = ids.begin() + static_cast<ptrdiff_t>(std::min(count, ids.size()));
    if (middle != ids.end()) std::nth_element(begin, middle, ids.end(), row);
    std::sort(begin, middle, row);
}

}  // namespace

void adjust_logits(std::span<float> logits, const SamplingParams& params,
                   const TokenCounts& counts) {
    for (const auto& [token, bias] : params.logit_bias) {
        if (token >= 0 && static_cast<size_t>(token) < logits.size()) {
            logits[static_cast<size_t>(token)] += bias;
        }
    }
    for (const auto& [token, count] : counts.all()) {
        if (token < 0 || static_cast<size_t>(token) >= logits.size()) continue;
        float& logit = logits[static_cast<size_t>(token)];
        logit = logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
        if (count.output == 0) continue;
        logit -= params.frequency_penalty * static_cast<float>(count.output);
        logit -= params.presence_penalty;
    }
}

void forbid(std::span<float> logits, std::span<const int32_t> tokens) {
    for (const int32_t token : tokens) {
        if (token >= 0 && static_cast<size_t>(token) < logits.size()) {
            logits[static_cast<size_t>(token)] = -std::numeric_limits<float>::infinity();
        }
    }
}

int32_t draw(std::span<const float> logits, const SamplingParams& params, int32_t position) {
    const int32_t best = best_of(logits);
    if (best < 0 || !(params.temperature >= reference::kTemperatureMin)) return best;
    const float highest = logits[static_cast<size_t>(best)];
    const auto candidate = [&](int32_t token) {
        const float difference = logits[static_cast<size_t>(token)] - highest;
        const float below = difference / params.temperature;
        return Candidate{token, below, reference::candidate_weight_q30(below)};
    };

    std::vector<int32_t> ids;
    ids.reserve(logits.size());
    for (size_t i = 0; i < logits.size(); ++i) {
        if (std::isfinite(logits[i])) ids.push_back(static_cast<int32_t>(i));
    }
    const Row row{logits};
    std::vector<Candidate> kept;
    reference::SampleParams how;  // what is left to filter
    how.min_p = params.min_p;
    if (params.top_k > 0 && static_cast<size_t>(params.top_k) < ids.size()) {
        rank(ids, 0, static_cast<size_t>(params.top_k), row);
        ids.resize(static_cast<size_t>(params.top_k));
        for (const int32_t token : ids)
            kept.push_back(candidate(token));
        how.top_p = params.top_p;
    } else if (params.top_p < 1.0f) {
        // The mass is that of all candidates; their order matters only as far as top_p reaches.
        const uint64_t share = static_cast<uint64_t>(std::max(params.top_p, 0.0f) * 16777216.0f);
        uint64_t total = 0;
        for (const int32_t token : ids)
            total += candidate(token).weight;
        const uint64_t target = (total >> 24) * share + (((total & 0xffffffu) * share) >> 24);
        uint64_t before = 0;
        for (size_t at = 0, sorted = 0; at < ids.size() && (at == 0 || before < target); ++at) {
            if (at == sorted) {
                const size_t more = std::max(kSortedFirst, sorted * 4);
                rank(ids, sorted, more, row);
                sorted = std::min(more, ids.size());
            }
            kept.push_back(candidate(ids[at]));
            before += kept.back().weight;
        }
    } else {
        std::swap(ids.front(), *std::find(ids.begin(), ids.end(), best));
        for (const int32_t token : ids)
            kept.push_back(candidate(token));
    }
    // The first in rank is first here too, which is all that min_p asks of the order.
    reference::filter_candidates(kept, how);

    int32_t chosen = -1;
    float best_score = 0;
    for (const Candidate& c : kept) {
        const float noise = reference::gumbel(
            reference::noise_word(params.seed, position, static_cast<uint32_t>(c.token)));
        const float score = c.below + noise;
        if (chosen < 0 || score > best_score || (score == best_score && c.token < chosen)) {
            best_score = score;
            chosen = c.token;
        }
    }
    return chosen;
}

Logprobs logprobs_of(std::span<const float> logits, int32_t token, uint32_t count) {
    double top = -std::numeric_limits<double>::infinity();
    std::vector<int32_t> ids;
    for (size_t i = 0; i < logits.size(); ++i) {
        if (!std::isfinite(logits[i])) continue;
        top = std::max<double>(top, logits[i]);
        if (count > 0) ids.push_back(static_cast<int32_t>(i));
    }
    double total = 0;
    for (const float logit : logits) {
        if (std::isfinite(logit)) total += std::exp(logit - top);
    }
    const auto of = [&](int32_t id) {
        return static_cast<float>(logits[static_cast<size_t>(id)] - top - std::log(total));
    };
    Logprobs out;
    out.of_token = of(token);
    const size_t wanted = std::min<size_t>(count, ids.size());
    rank(ids, 0, wanted, Row{logits});
    for (size_t i = 0; i < wanted; ++i)
        out.top.emplace_back(ids[i], of(ids[i]));
    return out;
}

}  // namespace tenon::sampling
