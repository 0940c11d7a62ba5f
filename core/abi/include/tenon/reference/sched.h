// tenon.sched: what a plan means, and the policy that the host falls back to.
//
// Unified prefill and decode under one token budget. Rows in decode come first, in what prefill_bias
// leaves them, the longest left out before others; then prompts in chunks; then waiting rows are
// admitted by the blocks that they are expected to need. When the rows in decode run out of blocks,
// rows give theirs back. O(n log n) of the rows; allocates only while its scratch grows.
#pragma once

#include <tenon/abi.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tenon::reference {

// A row in decode may be left out of so many steps in a row.
constexpr uint32_t kSchedSkippedMax = 64;
// The oldest waiting row goes first from this age on, whatever its rank.
constexpr uint32_t kSchedAgeMaxMs = 20000;
// A deadline nearer than this goes before rows of the same priority.
constexpr uint32_t kSchedDeadlineNearMs = 5000;
// Nobody is expected to draw more tokens than this.
constexpr uint32_t kSchedOutputMax = 4096;

// Blocks that a sequence with `position` positions needs anew for `tokens` more.
inline uint32_t sched_blocks(uint32_t position, uint32_t tokens, uint32_t block_tokens) {
    const auto blocks = [&](uint64_t n) { return (n + block_tokens - 1) / block_tokens; };
    return static_cast<uint32_t>(blocks(uint64_t{position} + tokens) - blocks(position));
}

// Position at which a row goes on.
inline uint32_t sched_position(const tenon_sched_view& view, uint32_t row) {
    return view.state[row] == TENON_SCHED_WAITING ? view.cached_tokens[row] : view.computed[row];
}
inline uint32_t sched_blocks_needed(const tenon_sched_view& view, uint32_t row, uint32_t tokens) {
    return sched_blocks(sched_position(view, row), tokens, view.block_tokens);
}
inline bool sched_decodes(const tenon_sched_view& view, uint32_t row) {
    return view.state[row] == TENON_SCHED_RUNNING && view.tokens_left[row] == 1;
}
inline bool sched_is_due(const tenon_sched_view& view, uint32_t row) {
    return sched_decodes(view, row) && view.skipped[row] >= kSchedSkippedMax;
}

// Blocks held by each key, where key_blocks_max binds: rows of at least two keys wait.
class SchedKeys {
public:
    void count(const tenon_sched_view& view) {
        binds_ = false;
        if (view.key_blocks_max == 0) return;
        uint32_t first = view.n_rows;
        for (uint32_t row = 0; row < view.n_rows && !binds_; ++row) {
            if (view.state[row] != TENON_SCHED_WAITING) continue;
            if (first == view.n_rows) first = row;
            binds_ = view.key[row] != view.key[first];
        }
        if (!binds_) return;
        size_t places = 16;
        while (places < size_t{view.n_rows} * 2)
            places *= 2;
        held_.assign(places, Held());
        for (uint32_t row = 0; row < view.n_rows; ++row) {
            if (view.state[row] != TENON_SCHED_WAITING) add(view.key[row], view.blocks_held[row]);
        }
    }
    void add(uint32_t key, uint64_t blocks) {
        if (!binds_) return;
        Held& held = find(key);
        held.used = true;
        held.key = key;
        held.blocks += blocks;
    }
    // Whether admitting the row would give its key more than its share. A key that holds nothing
    // may always have one.
    bool is_over(const tenon_sched_view& view, uint32_t row) {
        if (!binds_) return false;
        const uint64_t held = find(view.key[row]).blocks;
        const uint64_t need = sched_blocks_needed(view, row, view.tokens_left[row]);
        return held > 0 && held + need > view.key_blocks_max;
    }

private:
    struct Held {
        bool used = false;
        uint32_t key = 0;
        uint64_t blocks = 0;
    };
    Held& find(uint32_t key) {
        size_t place = (key * size_t{0x9E3779B97F4A7C15u}) >> 32;
        for (;; ++place) {
            Held& held = held_[place & (held_.size() - 1)];
            if (!held.used || held.key == key) return held;
        }
    }
    std::vector<Held> held_;  // a power of two, at least half of it unused
    bool binds_ = false;
};

// Order of arrival: the preference of first come, first served.
struct SchedArrival {
    double score(uint32_t) const { return 0; }
    bool waits(uint32_t) const { return false; }
};

// Plans steps. One thread at a time; keeps nothing from one plan to the next but its memory.
class SchedPlanner {
public:
    // preference.score(row): of rows that are equal in priority and deadline the highest is admitted
    // first. preference.waits(row): the row had better not be admitted in this step. Both are asked
    // about waiting rows only, and neither is heeded where the rules of the host say otherwise.
    // `plan` holds at least view.n_rows entries.
    template <class Preference>
    void plan(const tenon_sched_view& view, const Preference& preference, tenon_sched_plan& plan) {
        begin(view, plan);
        if (view.token_budget == 0) return;
        for (uint32_t row : waiting_rows_) {
            waiting_.push_back(rank(row, preference.score(row), preference.waits(row)));
        }
        // The oldest is the first of them, as rows come in order of arrival.
        if (!waiting_.empty()) waiting_[0].aged = view.age_ms[waiting_[0].row] > kSchedAgeMaxMs;
        std::sort(waiting_.begin(), waiting_.end(), goes_before);
        plan_decode();
        plan_prefill();
        if (plan.n_preempt == 0) admit();
        for (uint32_t row : decode_)
            run_if_it_fits(row);
        if (plan.n_run == 0) run_anything();
    }

private:
    struct Rank {
        uint32_t row;
        int32_t priority;
        uint32_t deadline_ms;  // kFar unless near
        double score;
        bool aged;
        bool waits;
    };
    enum Mark : uint8_t { kIdle, kSelected, kRuns, kGone };
    static constexpr uint32_t kFar = 0xffffffffu;

    static bool goes_before(const Rank& a, const Rank& b) {
        if (a.aged != b.aged) return a.aged;
        if (a.priority != b.priority) return a.priority > b.priority;
        if (a.deadline_ms != b.deadline_ms) return a.deadline_ms < b.deadline_ms;
        if (a.score != b.score) return a.score > b.score;
        return a.row < b.row;
    }

    Rank rank(uint32_t row, double score, bool waits) const {
        const uint32_t left = view_->deadline_ms[row];
        return {row,  view_->priority[row], left < kSchedDeadlineNearMs ? left : kFar, score, false,
                waits};
    }

    void begin(const tenon_sched_view& view, tenon_sched_plan& plan) {
        view_ = &view;
        plan_ = &plan;
        plan.n_run = plan.n_preempt = 0;
        budget_ = view.token_budget;
        blocks_ = int64_t{view.blocks_free} + view.blocks_evictable;
        holders_ = 0;
        mark_.assign(view.n_rows, kIdle);
        decode_.clear();
        prefill_.clear();
        waiting_.clear();
        waiting_rows_.clear();
        for (uint32_t row = 0; row < view.n_rows; ++row) {
            if (view.state[row] == TENON_SCHED_WAITING) {
                waiting_rows_.push_back(row);
                continue;
            }
            ++holders_;
            if (view.state[row] != TENON_SCHED_RUNNING) continue;
            if (view.tokens_left[row] == 1) {
                decode_.push_back(row);
            } else {
                prefill_.push_back(rank(row, 0, false));
            }
        }
    }

    int64_t need(uint32_t row, uint32_t tokens) const {
        return sched_blocks_needed(*view_, row, tokens);
    }

    void run(uint32_t row, uint32_t tokens) {
        plan_->run[plan_->n_run] = row;
        plan_->tokens[plan_->n_run++] = tokens;
        mark_[row] = kRuns;
        budget_ -= tokens;
        blocks_ -= need(row, tokens);
    }

    // Tokens of a prompt that `budget_` and `blocks` allow; a part of it ends at a block's end where
    // it can.
    uint32_t chunk(uint32_t row, int64_t blocks) const {
        const uint64_t unit = view_->block_tokens;
        const uint64_t at = sched_position(*view_, row);
        const uint64_t left = view_->tokens_left[row];
        if (blocks < 0) return 0;
        const uint64_t room = (unit - at % unit) % unit + static_cast<uint64_t>(blocks) * unit;
        const uint64_t most = std::min({left, uint64_t{budget_}, room});
        const uint64_t end = (at + most) / unit * unit;
        return static_cast<uint32_t>(most < left && end > at ? end - at : most);
    }

    void plan_decode() {
        uint64_t prompts = 0;
        for (const Rank& r : prefill_)
            prompts += view_->tokens_left[r.row];
        for (const Rank& r : waiting_)
            prompts += view_->tokens_left[r.row];
        const double bias = std::min(1.0, std::max(0.0, static_cast<double>(view_->prefill_bias)));
        const uint64_t for_prompts = std::min(prompts, static_cast<uint64_t>(bias * budget_));
        uint64_t room = budget_ - for_prompts;
        if (decode_.size() > room) {
            std::sort(decode_.begin(), decode_.end(), [this](uint32_t a, uint32_t b) {
                const uint32_t sa = view_->skipped[a], sb = view_->skipped[b];
                return sa != sb ? sa > sb : a < b;
            });
            uint64_t due = 0;
            while (due < decode_.size() && sched_is_due(*view_, decode_[due]))
                ++due;
            room = std::max(room, std::min(due, uint64_t{budget_}));
        }
        const size_t taken = std::min<size_t>(decode_.size(), room);
        int64_t wanted = 0;
        for (size_t i = 0; i < taken; ++i) {
            mark_[decode_[i]] = kSelected;
            wanted += need(decode_[i], 1);
        }
        make_room(wanted);
        for (size_t i = 0; i < taken; ++i) {
            if (mark_[decode_[i]] == kSelected) run(decode_[i], 1);
        }
        for (size_t i = taken; i < decode_.size(); ++i) {
            if (sched_is_due(*view_, decode_[i])) run_if_it_fits(decode_[i]);
        }
    }

    void run_if_it_fits(uint32_t row) {
        if (mark_[row] == kIdle && budget_ > 0 && need(row, 1) <= blocks_) run(row, 1);
    }

    // Takes rows out of the selection, and their blocks where they hold any, until the rest of it,
    // which needs `wanted` blocks, fits. Keeps one running row that can go on; without such a row
    // nothing is selected any more.
    void make_room(int64_t wanted) {
        if (wanted <= blocks_) return;
        victims_.clear();
        int64_t held = blocks_;
        for (uint32_t row = 0; row < view_->n_rows; ++row) {
            if (view_->state[row] == TENON_SCHED_WAITING || mark_[row] == kGone) continue;
            victims_.push_back(row);
            held += view_->blocks_held[row];
        }
        std::sort(victims_.begin(), victims_.end(),
                  [this](uint32_t a, uint32_t b) { return is_better_victim(a, b); });
        uint32_t kept = kFar;
        for (size_t i = victims_.size(); i-- > 0 && kept == kFar;) {
            const uint32_t row = victims_[i];
            if (view_->state[row] != TENON_SCHED_RUNNING) continue;
            if (need(row, 1) <= held - view_->blocks_held[row]) kept = row;
        }
        for (uint32_t row : victims_) {
            if (wanted <= blocks_) return;
            const int64_t its = mark_[row] == kSelected ? need(row, 1) : 0;
            if (kept == kFar) {
                if (mark_[row] == kSelected) mark_[row] = kIdle;
                continue;
            }
            if (row == kept || its + view_->blocks_held[row] == 0) continue;
            wanted -= its;
            if (view_->blocks_held[row] == 0 && !sched_is_due(*view_, row)) {
                mark_[row] = kIdle;
            } else {
                preempt(row);
            }
        }
    }

    void preempt(uint32_t row) {
        plan_->preempt[plan_->n_preempt++] = row;
        mark_[row] = kGone;
        blocks_ += view_->blocks_held[row];
        --holders_;
    }

    // Paused ones first, then those of low priority, with little output, with a long prompt, young.
    bool is_better_victim(uint32_t a, uint32_t b) const {
        const tenon_sched_view& v = *view_;
        if (v.state[a] != v.state[b]) return v.state[a] == TENON_SCHED_PAUSED;
        if (v.priority[a] != v.priority[b]) return v.priority[a] < v.priority[b];
        if (v.generated[a] != v.generated[b]) return v.generated[a] < v.generated[b];
        const uint64_t la = uint64_t{v.computed[a]} + v.tokens_left[a];
        const uint64_t lb = uint64_t{v.computed[b]} + v.tokens_left[b];
        return la != lb ? la > lb : a > b;
    }

    void plan_prefill() {
        std::sort(prefill_.begin(), prefill_.end(), goes_before);
        for (const Rank& r : prefill_) {
            if (mark_[r.row] != kIdle) continue;
            const uint32_t tokens = chunk(r.row, blocks_);
            if (tokens > 0) run(r.row, tokens);
        }
    }

    double expected_output(uint32_t row) const {
        return static_cast<double>(std::min(view_->output_left[row], kSchedOutputMax)) *
               view_->new_token_ratio;
    }

    // Tokens of blocks that nobody is expected to need.
    double expected_rest() const {
        double rest = static_cast<double>(int64_t{view_->blocks_free} + view_->blocks_evictable) *
                      view_->block_tokens;
        for (uint32_t row = 0; row < view_->n_rows; ++row) {
            if (view_->state[row] == TENON_SCHED_WAITING) continue;
            rest -= static_cast<double>(view_->tokens_left[row]) + expected_output(row);
        }
        return rest;
    }

    void admit() {
        if (waiting_.empty() || budget_ == 0 || holders_ >= view_->running_max) return;
        const uint32_t unit = view_->block_tokens;
        double rest = expected_rest();
        keys_.count(*view_);
        for (const Rank& r : waiting_) {
            if (budget_ == 0 || holders_ >= view_->running_max) return;
            if ((r.waits && !r.aged) || keys_.is_over(*view_, r.row)) continue;
            const double blocks = static_cast<double>(need(r.row, view_->tokens_left[r.row])) +
                                  view_->blocks_locked[r.row] + 1;
            const double wanted = blocks * unit + expected_output(r.row);
            if (wanted >= rest) return;
            const uint32_t tokens = chunk(r.row, blocks_ - view_->blocks_locked[r.row]);
            if (tokens == 0) return;
            rest -= wanted;
            keys_.add(view_->key[r.row], static_cast<uint64_t>(need(r.row, tokens)));
            take(r.row, tokens);
        }
    }

    void take(uint32_t row, uint32_t tokens) {
        run(row, tokens);
        blocks_ -= view_->blocks_locked[row];
        ++holders_;
    }

    // Nothing runs: a running row goes on at the cost of others; where there is none a waiting row
    // is admitted, whatever it is expected to need, if must be at the cost of paused ones.
    void run_anything() {
        bool any_runs = false;
        for (uint32_t row : decode_)
            any_runs |= mark_[row] != kGone;
        for (const Rank& r : prefill_)
            any_runs |= mark_[r.row] != kGone;
        if (any_runs) return run_one_running();
        if (view_->running_max == 0) return;
        for (const Rank& r : waiting_) {
            const uint32_t tokens = chunk(r.row, blocks_ - view_->blocks_locked[r.row]);
            if (tokens > 0 && holders_ < view_->running_max) return take(r.row, tokens);
        }
        int64_t held = blocks_;
        victims_.clear();
        for (uint32_t row = 0; row < view_->n_rows; ++row) {
            if (view_->state[row] != TENON_SCHED_PAUSED || mark_[row] == kGone) continue;
            victims_.push_back(row);
            held += view_->blocks_held[row];
        }
        std::sort(victims_.begin(), victims_.end(),
                  [this](uint32_t a, uint32_t b) { return is_better_victim(a, b); });
        for (const Rank& r : waiting_) {
            const int64_t wanted = need(r.row, 1) + view_->blocks_locked[r.row];
            if (wanted > held) continue;
            for (uint32_t row : victims_) {
                if (wanted <= blocks_ && holders_ < view_->running_max) break;
                preempt(row);
            }
            return take(r.row, chunk(r.row, blocks_ - view_->blocks_locked[r.row]));
        }
    }

    // Every running row needs a block and none is free.
    void run_one_running() {
        uint32_t best = kFar;
        int64_t held = blocks_;
        for (uint32_t row = 0; row < view_->n_rows; ++row) {
            if (view_->state[row] != TENON_SCHED_WAITING && mark_[row] != kGone) {
                held += view_->blocks_held[row];
            }
        }
        for (uint32_t row = 0; row < view_->n_rows; ++row) {
            if (view_->state[row] != TENON_SCHED_RUNNING || mark_[row] == kGone) continue;
            if (need(row, 1) > held - view_->blocks_held[row]) continue;
            if (best == kFar || is_better_victim(best, row)) best = row;
        }
        if (best == kFar) return;
        mark_[best] = kSelected;
        make_room(need(best, 1));
        run(best, chunk(best, blocks_));
    }

    const tenon_sched_view* view_ = nullptr;  // not owned; of the present call
    tenon_sched_plan* plan_ = nullptr;        // not owned; of the present call
    uint32_t budget_ = 0;                     // tokens left
    int64_t blocks_ = 0;                      // blocks left
    uint32_t holders_ = 0;                    // rows that hold blocks after this plan
    std::vector<uint8_t> mark_;               // a Mark for each row
    std::vector<uint32_t> decode_;
    std::vector<Rank> prefill_;
    std::vector<uint32_t> waiting_rows_;
    std::vector<Rank> waiting_;
    std::vector<uint32_t> victims_;
    SchedKeys keys_;
};

}  // namespace tenon::reference
