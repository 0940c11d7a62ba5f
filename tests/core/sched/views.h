// Hand-made and random views, and a fluent row.
#pragma once

#include <random>
#include <string>

#include "core/sched/scheduler.h"

namespace tenon::sched {

struct Row {
    SequenceState state = SequenceState::kRunning;
    uint32_t tokens_left = 1;
    uint32_t computed = 0;
    uint32_t cached = 0;
    uint32_t shared = 0;
    uint32_t generated = 0;
    uint32_t output_left = 16;
    uint32_t held = 0;
    uint32_t locked = 0;
    uint32_t key = 0;
    int32_t priority = 0;
    uint32_t age_ms = 0;
    uint32_t skipped = 0;
    uint32_t deadline_ms = UINT32_MAX;
};

inline void add(SchedView& view, const Row& row) {
    view.state.push_back(static_cast<uint32_t>(row.state));
    view.tokens_left.push_back(row.tokens_left);
    view.computed.push_back(row.computed);
    view.cached_tokens.push_back(row.cached);
    view.shared_tokens.push_back(row.shared);
    view.generated.push_back(row.generated);
    view.output_left.push_back(row.output_left);
    view.blocks_held.push_back(row.held);
    view.blocks_locked.push_back(row.locked);
    view.key.push_back(row.key);
    view.priority.push_back(row.priority);
    view.age_ms.push_back(row.age_ms);
    view.skipped.push_back(row.skipped);
    view.deadline_ms.push_back(row.deadline_ms);
}

// Waits with a prompt of so many tokens.
inline Row waiting(uint32_t prompt) {
    Row row;
    row.state = SequenceState::kWaiting;
    row.tokens_left = prompt;
    return row;
}
// In decode with so many positions, all private.
inline Row decoding(uint32_t computed, uint32_t block_tokens = 16) {
    Row row;
    row.computed = computed;
    row.generated = 1;
    row.held = (computed + block_tokens - 1) / block_tokens;
    return row;
}
// In the middle of its prompt.
inline Row prefilling(uint32_t computed, uint32_t left, uint32_t block_tokens = 16) {
    Row row = decoding(computed, block_tokens);
    row.generated = 0;
    row.tokens_left = left;
    return row;
}

// 100 free blocks of 16 tokens, 8 sequences, 64 tokens.
inline SchedView roomy() {
    SchedView view;
    view.blocks_free = view.blocks_total = 100;
    view.running_max = 8;
    view.token_budget = 64;
    return view;
}

// Any view that an engine could show, and some that it could not.
inline SchedView random_view(std::mt19937_64& random) {
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    SchedView view;
    view.block_tokens = below(2) == 0 ? 16 : 32;
    const uint32_t rows = below(24);
    const bool tight = below(2) == 0;
    view.blocks_free = below(tight ? 2 : 60);
    view.blocks_evictable = below(tight ? 2 : 60);
    view.token_budget = below(8) == 0 ? below(4) : 1 + below(512);
    view.key_blocks_max = below(3) == 0 ? 1 + below(40) : 0;
    view.new_token_ratio = static_cast<float>(1 + below(10)) / 10;
    view.prefill_bias = static_cast<float>(below(5)) / 4;
    view.age_weight = static_cast<float>(below(3)) * 16;
    const bool ages = below(3) == 0, ranks = below(3) == 0, starves = below(4) == 0;
    uint32_t holders = 0, held = 0;
    for (uint32_t i = 0; i < rows; ++i) {
        Row row;
        const uint32_t kind = below(8);
        if (kind < 3) {
            row = waiting(1 + below(below(4) == 0 ? 2000 : 200));
            row.cached = below(2) == 0 ? 0 : below(8) * view.block_tokens;
            row.locked = below(row.cached / view.block_tokens + 1);
            row.shared = below(2) == 0 ? 0 : below(200);
        } else {
            const uint32_t computed = below(300);
            row = kind < 6 ? decoding(computed, view.block_tokens)
                           : prefilling(computed, 1 + below(300), view.block_tokens);
            if (kind == 7) row.state = SequenceState::kPaused;
            if (below(3) == 0) row.held = below(row.held + 1);
            row.generated = below(20);
            ++holders;
        }
        held += row.held;
        row.output_left = 1 + below(below(3) == 0 ? 5000 : 64);
        row.key = below(3);
        if (ranks) row.priority = static_cast<int32_t>(below(3)) - 1;
        if (ages) row.age_ms = below(40'000);
        if (starves) row.skipped = below(80);
        if (below(6) == 0) row.deadline_ms = below(8'000);
        add(view, row);
    }
    view.blocks_total = view.blocks_free + view.blocks_evictable + held;
    view.running_max = holders + below(4);
    return view;
}

inline std::string describe(const SchedView& v) {
    std::string text =
        "P " + std::to_string(v.block_tokens) + " free " + std::to_string(v.blocks_free) +
        " evictable " + std::to_string(v.blocks_evictable) + " max " +
        std::to_string(v.running_max) + " budget " + std::to_string(v.token_budget) + " bias " +
        std::to_string(v.prefill_bias) + " key max " + std::to_string(v.key_blocks_max) + "\n";
    for (size_t i = 0; i < v.size(); ++i) {
        text += std::to_string(i) + ": state " + std::to_string(v.state[i]) + " left " +
                std::to_string(v.tokens_left[i]) + " computed " + std::to_string(v.computed[i]) +
                " cached " + std::to_string(v.cached_tokens[i]) + " held " +
                std::to_string(v.blocks_held[i]) + " locked " + std::to_string(v.blocks_locked[i]) +
                " skipped " + std::to_string(v.skipped[i]) + " age " + std::to_string(v.age_ms[i]) +
                " out " + std::to_string(v.generated[i]) + " prio " +
                std::to_string(v.priority[i]) + "\n";
    }
    return text;
}

}  // namespace tenon::sched
