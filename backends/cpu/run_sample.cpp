// SAMPLE, bit for bit as include/tenon/reference/sample.h, without its full sort. What top_k and top_p
// keep is all that ranks no lower than one token, the cut; the noise is then looked up only for tokens
// that could still win.
#include <tenon/reference/sample.h>

#include <algorithm>
#include <cmath>

#include "backends/cpu/exec.h"

namespace tenon::cpu {
namespace {

constexpr uint32_t kListedMax = 512;    // tokens that are sorted rather than put into buckets
constexpr uint32_t kBuckets = 1024;     // of logits, for top_p over many tokens
constexpr float kOctavesReach = 21.5f;  // exp(-21.5) weighs less than 2^-30
constexpr uint32_t kChunk = 1024;       // tokens between two looks at the highest score

// The last token in rank that may be drawn.
struct Cut {
    float logit = -std::numeric_limits<float>::infinity();
    uint32_t token = UINT32_MAX;
};

struct Picker {
    const float* logits;
    uint32_t vocabulary;
    reference::SampleParams how;
    const KernelTable* kernels;
    uint32_t* ids;      // room for the vocabulary
    uint32_t* weights;  // room for the vocabulary
    Cut cut;

    bool allowed(uint32_t i) const noexcept {
        return (how.mask == nullptr || (how.mask[i / 32] >> (i % 32) & 1u) != 0) &&
               std::isfinite(logits[i]);
    }
    // Higher logit first, equal ones by lower id.
    bool before(uint32_t a, uint32_t b) const noexcept {
        return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
    }
    bool kept(uint32_t i) const noexcept {
        return logits[i] > cut.logit || (logits[i] == cut.logit && i <= cut.token);
    }
    float below(uint32_t i, uint32_t best) const noexcept {
        const float difference = logits[i] - logits[best];
        return difference / how.temperature;
    }
    float score(uint32_t i, uint32_t best) const noexcept {
        return below(i, best) + reference::gumbel(reference::noise_word(how.seed, how.position, i));
    }

    // The first in rank; -1 for a broken row and where nothing is allowed.
    int32_t greedy() const noexcept {
        const kernels::Peak peak = kernels->find_peak(logits, vocabulary);
        if (peak.broken) return -1;
        if (allowed(peak.index)) return static_cast<int32_t>(peak.index);
        int32_t best = -1;
        for (uint32_t i = 0; i < vocabulary; ++i)
            if (allowed(i) && (best < 0 || logits[i] > logits[best]))
                best = static_cast<int32_t>(i);
        return best;
    }

    // Cuts behind the first `count` in rank and leaves them in ids, in no order; how many there are,
    // or 0 when there are no more than that.
    uint32_t keep_top_k(uint32_t count) noexcept {
        const auto order = [this](uint32_t a, uint32_t b) { return before(a, b); };
        const uint32_t room = std::min(vocabulary, std::max(2 * count, count + 256));
        float threshold = -std::numeric_limits<float>::infinity();
        uint32_t listed = 0;
        bool full = false;
        const auto shrink = [&] {
            std::nth_element(ids, ids + count - 1, ids + listed, order);
            listed = count;
            threshold = logits[ids[count - 1]];
            full = true;
        };
        // A later token of the threshold's logit ranks behind all that are listed.
        for (uint32_t i = 0; i < vocabulary; ++i) {
            if (!(logits[i] > threshold) || !allowed(i)) continue;
            ids[listed++] = i;
            if (listed == room && listed > count) shrink();
        }
        if (listed > count) shrink();
        if (!full) return 0;
        cut = {threshold, ids[count - 1]};
        return count;
    }

    // First sum of weights in rank order that ends what top_p keeps.
    uint64_t target_of(uint64_t total) const noexcept {
        const uint64_t part = static_cast<uint64_t>(std::max(how.top_p, 0.0f) * 16777216.0f);
        return std::max<uint64_t>(1, (total >> 24) * part + (((total & 0xffffffu) * part) >> 24));
    }
    // Cuts where the weights of `listed` tokens in ids, all behind a sum of `sum`, reach the target.
    void cut_list(uint32_t listed, uint64_t sum, uint64_t target) noexcept {
        std::sort(ids, ids + listed, [this](uint32_t a, uint32_t b) { return before(a, b); });
        uint32_t last = 0;
        for (sum += weights[ids[0]]; last + 1 < listed && sum < target;)
            sum += weights[ids[++last]];
        cut = {logits[ids[last]], ids[last]};
    }
    void keep_top_p_of_list(uint32_t listed, uint32_t best) noexcept {
        uint64_t total = 0;
        for (uint32_t n = 0; n < listed; ++n)
            total += weights[ids[n]] = reference::candidate_weight_q30(below(ids[n], best));
        cut_list(listed, 0, target_of(total));
    }
    void keep_top_p(const kernels::DrawArgs& args) noexcept {
        uint64_t total = kernels->draw->weigh(args, weights);
        const float scale = static_cast<float>(kBuckets) / (kOctavesReach * how.temperature);
        const auto bucket_of = [&](uint32_t i) {
            constexpr float kLast = static_cast<float>(kBuckets - 1);
            return static_cast<uint32_t>(std::min((args.best - logits[i]) * scale, kLast));
        };
        uint64_t sums[kBuckets] = {};
        const bool whole = how.mask == nullptr && cut.token == UINT32_MAX;
        for (uint32_t i = 0; i < vocabulary; ++i) {
            if (weights[i] == 0) continue;
            if (!whole && !(allowed(i) && kept(i))) {
                total -= weights[i];
                weights[i] = 0;
                continue;
            }
            sums[bucket_of(i)] += weights[i];
        }
        const uint64_t target = target_of(total);
        uint32_t bucket = 0;
        uint64_t sum = 0;
        while (bucket + 1 < kBuckets && sum + sums[bucket] < target)
            sum += sums[bucket++];
        uint32_t listed = 0;
        for (uint32_t i = 0; i < vocabulary; ++i)
            if (weights[i] != 0 && bucket_of(i) == bucket) ids[listed++] = i;
        cut_list(listed, sum, target);
    }

    int32_t draw(const kernels::DrawArgs& args, uint32_t best) const noexcept {
        const uint32_t floor =
            how.min_p > 0.0f ? static_cast<uint32_t>(std::min(how.min_p, 1.0f) * 1073741824.0f) : 0;
        uint32_t chosen = best;
        float highest = score(best, best);
        uint32_t contenders[kChunk];
        for (uint32_t at = 0; at < vocabulary; at += kChunk) {
            const uint32_t end = std::min(at + kChunk, vocabulary);
            const uint32_t n = kernels->draw->contend(args, at, end, highest, contenders);
            for (uint32_t k = 0; k < n; ++k) {
                const uint32_t i = contenders[k];
                if (i == best || !allowed(i) || !kept(i)) continue;
                if (floor != 0 && reference::candidate_weight_q30(below(i, best)) < floor) continue;
                const float found = score(i, best);
                if (found < highest || (found == highest && i > chosen)) continue;
                highest = found;
                chosen = i;
            }
        }
        return static_cast<int32_t>(chosen);
    }

    int32_t pick() noexcept {
        const int32_t first = greedy();
        if (first < 0 || !(how.temperature >= reference::kTemperatureMin)) return first;
        const uint32_t best = static_cast<uint32_t>(first);
        const uint32_t top_k = how.top_k > 0 ? static_cast<uint32_t>(how.top_k) : vocabulary;
        const uint32_t listed = top_k < vocabulary ? keep_top_k(top_k) : 0;
        kernels::DrawArgs args{};
        args.logits = logits;
        args.count = vocabulary;
        args.best = logits[best];
        args.temperature = how.temperature;
        args.lowest = cut.logit;
        args.seed = how.seed;
        args.position = how.position;
        if (how.top_p < 1.0f) {
            if (listed > 0 && listed <= kListedMax)
                keep_top_p_of_list(listed, best);
            else
                keep_top_p(args);
            args.lowest = cut.logit;
        }
        return draw(args, best);
    }
};

uint32_t sample_units(const Exec& exec, const Phase& phase) {
    const int64_t rows = exec.rows[exec.nodes[phase.nodes[0]].out[0]];
    return static_cast<uint32_t>(std::min<int64_t>(rows, kUnitsMax));
}

void run_sample(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const uint32_t vocabulary = static_cast<uint32_t>(exec.values[node.in[0]].cols);
    const Share mine = share(static_cast<uint64_t>(exec.rows[node.out[0]]), unit, units);
    for (uint64_t row = mine.begin; row < mine.end; ++row) {
        Picker picker{};
        picker.logits = exec.floats(node.in[0], thread) + row * vocabulary;
        picker.vocabulary = vocabulary;
        picker.kernels = &exec.device->kernels;
        picker.ids =
            reinterpret_cast<uint32_t*>(exec.thread_memory(thread) + exec.sample_scratch_at);
        picker.weights = picker.ids + vocabulary;
        picker.how.temperature = exec.floats(node.in[1], thread)[row];
        picker.how.top_k = exec.indices(node.in[2])[row];
        picker.how.top_p = exec.floats(node.in[3], thread)[row];
        picker.how.min_p = exec.floats(node.in[4], thread)[row];
        picker.how.seed = reinterpret_cast<const uint64_t*>(exec.data[node.in[5]])[row];
        picker.how.position = exec.indices(node.in[6])[row];
        if (node.in[7] != TENON_NONE)
            picker.how.mask = reinterpret_cast<const uint32_t*>(exec.data[node.in[7]]) +
                              row * ((vocabulary + 31) / 32);
        const int32_t token = picker.pick();
        reinterpret_cast<int32_t*>(exec.data[node.out[0]])[row] = token;
        if (node.out[1] == TENON_NONE) continue;
        exec.floats(node.out[1], thread)[row] =
            token < 0 ? -std::numeric_limits<float>::infinity()
                      : reference::log_probability(picker.logits, vocabulary, token);
    }
}

}  // namespace

uint64_t sample_scratch_bytes(uint64_t vocabulary) noexcept {
    return vocabulary * 2 * sizeof(uint32_t);
}

const PhaseKind kSamplePhase = {sample_units, run_sample};

}  // namespace tenon::cpu
