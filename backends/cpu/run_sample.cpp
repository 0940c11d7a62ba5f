// SAMPLE, bit for bit as include/tenon/reference/sample.h, without its full sort: greedy is one pass,
// and only top_k and top_p rank candidates, as many as they need. The pass that finds the largest
// logit also tells whether the row is sound.
#include <tenon/reference/sample.h>

#include <algorithm>
#include <cmath>

#include "backends/cpu/exec.h"

namespace tenon::cpu {
namespace {

using reference::Candidate;

struct Picker {
    const float* logits;
    uint32_t vocabulary;
    reference::SampleParams how;
    kernels::PeakFn find_peak;
    Candidate* candidates; // room for the vocabulary

    bool allowed(uint32_t i) const noexcept {
        return (how.mask == nullptr || (how.mask[i / 32] >> (i % 32) & 1u) != 0) &&
               std::isfinite(logits[i]);
    }

    // Higher logit first, equal ones by lower id.
    bool before(const Candidate& a, const Candidate& b) const noexcept {
        const float x = logits[a.token];
        const float y = logits[b.token];
        return x > y || (x == y && a.token < b.token);
    }

    // The first in rank; -1 for a broken row and where nothing is allowed.
    int32_t greedy() const noexcept {
        const kernels::Peak peak = find_peak(logits, vocabulary);
        if (peak.broken) return -1;
        if (allowed(peak.index)) return static_cast<int32_t>(peak.index);
        int32_t best = -1;
        for (uint32_t i = 0; i < vocabulary; ++i)
            if (allowed(i) && (best < 0 || logits[i] > logits[best])) best = static_cast<int32_t>(i);
        return best;
    }

    // Candidates kept by top_p, in rank order, of the first `count`.
    uint32_t keep_top_p(uint32_t count) noexcept {
        const uint64_t part = static_cast<uint64_t>(std::max(how.top_p, 0.0f) * 16777216.0f);
        uint64_t total = 0;
        for (uint32_t i = 0; i < count; ++i) total += candidates[i].weight;
        const uint64_t target = (total >> 24) * part + (((total & 0xffffffu) * part) >> 24);
        const auto order = [this](const Candidate& a, const Candidate& b) { return before(a, b); };
        uint32_t ranked = 0;
        uint64_t sum = 0;
        for (uint32_t wanted = 64;; wanted *= 8) {
            const uint32_t to = std::min(wanted, count);
            std::partial_sort(candidates + ranked, candidates + to, candidates + count, order);
            for (; ranked < to; ++ranked) {
                if (ranked > 0 && sum >= target) return ranked;
                sum += candidates[ranked].weight;
            }
            if (to == count) return count;
        }
    }

    int32_t pick() noexcept {
        const int32_t best = greedy();
        if (best < 0 || !(how.temperature >= reference::kTemperatureMin)) return best;
        uint32_t count = 0;
        for (uint32_t i = 0; i < vocabulary; ++i) {
            if (!allowed(i)) continue;
            const float difference = logits[i] - logits[best];
            const float below = difference / how.temperature;
            candidates[count++] = {static_cast<int32_t>(i), below,
                                   reference::candidate_weight_q30(below)};
        }
        if (how.top_k > 0 && static_cast<uint32_t>(how.top_k) < count) {
            const auto order = [this](const Candidate& a, const Candidate& b) {
                return before(a, b);
            };
            std::nth_element(candidates, candidates + how.top_k, candidates + count, order);
            count = static_cast<uint32_t>(how.top_k);
        }
        if (how.top_p < 1.0f) count = keep_top_p(count);
        const uint32_t floor =
            how.min_p > 0.0f ? static_cast<uint32_t>(std::min(how.min_p, 1.0f) * 1073741824.0f) : 0;
        int32_t chosen = -1;
        float highest = 0;
        for (uint32_t i = 0; i < count; ++i) {
            const Candidate& c = candidates[i];
            if (c.weight < floor && c.token != best) continue;
            const float noise = reference::gumbel(reference::noise_word(
                how.seed, how.position, static_cast<uint32_t>(c.token)));
            const float score = c.below + noise;
            if (chosen < 0 || score > highest || (score == highest && c.token < chosen)) {
                highest = score;
                chosen = c.token;
            }
        }
        return chosen;
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
        picker.find_peak = exec.device->kernels.find_peak;
        picker.candidates =
            reinterpret_cast<Candidate*>(exec.thread_memory(thread) + exec.sample_scratch_at);
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

} // namespace

uint64_t sample_scratch_bytes(uint64_t vocabulary) noexcept { return vocabulary * sizeof(Candidate); }

const PhaseKind kSamplePhase = {sample_units, run_sample};

} // namespace tenon::cpu
