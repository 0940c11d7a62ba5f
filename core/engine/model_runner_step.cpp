// Steps: from items to buffers, and back. Loading is in model_runner.cpp.
#include "core/engine/model_runner.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::engine {

Status ModelRunner::check(std::span<const StepItem> items) const {
    size_t tokens = 0, rows = 0;
    for (const StepItem& item : items) {
        if (item.tokens.empty() || item.logit_rows > item.tokens.size()) {
            return Error{Code::kInvalid, fmt::format("a step item has {} tokens and {} logit rows; "
                                                     "expected at least 1 token and no more rows "
                                                     "than tokens",
                                                     item.tokens.size(), item.logit_rows)};
        }
        const uint64_t length = item.sequence->length() + item.tokens.size();
        if (length > options_.context_length) {
            return Error{Code::kInvalid,
                         fmt::format("the sequence would have {} tokens; its context "
                                     "holds {}",
                                     length, options_.context_length)};
        }
        for (const int32_t id : item.tokens) {
            if (id < 0 || static_cast<uint32_t>(id) >= vocab_size_) {
                return Error{Code::kInvalid,
                             fmt::format("token id {} is outside 0 to {}", id, vocab_size_ - 1)};
            }
        }
        tokens += item.tokens.size();
        rows += item.logit_rows;
    }
    if (items.empty() || rows == 0 || items.size() > options_.sequences_max ||
        tokens > options_.step_tokens_max || rows > options_.logit_rows_max) {
        return Error{Code::kInvalid,
                     fmt::format("a step of {} sequences, {} tokens and {} rows; at "
                                 "most {}, {} and {} were planned",
                                 items.size(), tokens, rows, options_.sequences_max,
                                 options_.step_tokens_max, options_.logit_rows_max)};
    }
    return {};
}

// Makes room for the new tokens; on error every table has its old length.
Status ModelRunner::grow(std::span<const StepItem> items, Inputs& in) {
    for (const StepItem& item : items) {
        Sequence& sequence = *item.sequence;
        const auto length = static_cast<uint32_t>(sequence.length_ + item.tokens.size());
        if (Status status = sequence.table_.grow(length); !status.ok()) {
            for (const auto& [grown, before] : in.grown)
                grown->truncate(before);
            sequence.table_.truncate(sequence.length_);
            in.grown.clear();
            return status;
        }
        in.grown.emplace_back(&sequence, sequence.length_);
        sequence.length_ = length;
    }
    return {};
}

void ModelRunner::fill(std::span<const StepItem> items, Inputs& in) const {
    const auto blocks = static_cast<size_t>(blocks_per_sequence_);
    in.block_table.assign(blocks * items.size(), 0);
    static const sampling::SamplingParams greedy;
    int32_t logit_rows = 0;
    for (size_t i = 0; i < items.size(); ++i) {
        const StepItem& item = items[i];
        const kv::BlockTable& table = item.sequence->table_;
        const uint32_t length = item.sequence->length_, before = in.grown[i].second;
        for (uint32_t position = before; position < length; ++position) {
            in.token_ids.push_back(item.tokens[position - before]);
            in.positions.push_back(static_cast<int32_t>(position));
            in.kv_slots.push_back(table.slot(position));
        }
        std::copy(table.blocks().begin(), table.blocks().end(),
                  in.block_table.begin() + static_cast<ptrdiff_t>(i * blocks));
        in.kv_len.push_back(static_cast<int32_t>(length));
        in.q_start.push_back(static_cast<int32_t>(in.token_ids.size()));
        const sampling::SamplingParams& how = item.sampling != nullptr ? *item.sampling : greedy;
        for (uint32_t r = item.logit_rows; r > 0; --r) {
            in.rows.push_back(static_cast<int32_t>(in.token_ids.size() - r));
            in.temperature.push_back(how.temperature);
            in.top_k.push_back(how.top_k);
            in.top_p.push_back(how.top_p);
            in.min_p.push_back(how.min_p);
            in.seed.push_back(how.seed);
            in.sample_position.push_back(static_cast<int32_t>(length - r + 1));
            in.logit_place.push_back(item.wants_logits ? logit_rows++ : -1);
        }
    }
}

// Queues the inputs and the program; `stepped` is reached when it has run.
Status ModelRunner::send(std::span<const StepItem> items, const Inputs& in, PlacedStep& step,
                         bool samples, tenon_point& stepped) {
    tenon_copy copies[model::kStepSlotCount];
    size_t n = 0;
    const auto give = [&](uint32_t slot, const auto& from) {
        copies[n++] = host::copy_in(buffers_[slot], 0, from.data(), from.size() * sizeof(from[0]));
    };
    give(model::kTokenIds, in.token_ids);
    give(model::kPositions, in.positions);
    give(model::kKvSlot, in.kv_slots);
    give(model::kBlockTable, in.block_table);
    give(model::kKvLen, in.kv_len);
    give(model::kQStart, in.q_start);
    if (&step == &step_) give(model::kLogitRows, in.rows);
    if (samples) {
        give(model::kTemperature, in.temperature);
        give(model::kTopK, in.top_k);
        give(model::kTopP, in.top_p);
        give(model::kMinP, in.min_p);
        give(model::kSeed, in.seed);
        give(model::kSamplePosition, in.sample_position);
    }
    const tenon_point copied = timeline_.at(++ticks_);
    stepped = timeline_.at(++ticks_);
    TENON_CHECK(queue_.copy({copies, n}, {{}, {&copied, 1}}));

    // Tokens that the step before draws go from its output to this one's input; runs of
    // neighbouring rows are one copy.
    for (size_t i = 0; i < items.size();) {
        size_t run = 1;
        if (items[i].from_row >= 0) {
            while (i + run < items.size() &&
                   items[i + run].from_row == items[i].from_row + static_cast<int32_t>(run) &&
                   items[i + run - 1].tokens.size() == 1)
                ++run;
            const tenon_copy drawn = host::copy_within(
                buffers_[model::kTokenIds], static_cast<uint64_t>(in.q_start[i]) * 4,
                buffers_[model::kSampled], static_cast<uint64_t>(items[i].from_row) * 4, run * 4);
            TENON_CHECK(queue_.copy({&drawn, 1}, {}));
        }
        i += run;
    }

    tenon_buffer* handles[model::kStepSlotCount];
    for (uint32_t slot = 0; slot < model::kStepSlotCount; ++slot)
        handles[slot] = buffers_[slot].handle();
    const int64_t symbols[] = {static_cast<int64_t>(in.token_ids.size()),
                               static_cast<int64_t>(items.size()),
                               static_cast<int64_t>(in.rows.size())};
    tenon_bind bind{};
    bind.buffers = handles;
    bind.symbols = symbols;
    bind.cancel = options_.cancel;
    bind.progress = options_.progress;
    return step.submit(queue_, bind, {{&copied, 1}, {&stepped, 1}});
}

// Queues the copies of what the step gives.
Status ModelRunner::read(Inputs& in, tenon_point stepped) {
    const size_t rows = in.rows.size();
    const uint64_t row_bytes = uint64_t{vocab_size_} * 4;
    std::vector<tenon_copy> copies;
    if (options_.draws()) {
        in.sampled.resize(rows);
        copies.push_back(host::copy_out(in.sampled.data(), buffers_[model::kSampled], 0, rows * 4));
        if (options_.end == model::StepShape::End::kSampleAndLogits) {
            const auto wanted = std::count_if(in.logit_place.begin(), in.logit_place.end(),
                                              [](int32_t place) { return place >= 0; });
            in.logits.resize(static_cast<size_t>(wanted) * vocab_size_);
            for (size_t row = 0; row < rows; ++row) {
                if (in.logit_place[row] < 0) continue;
                float* to =
                    in.logits.data() + static_cast<size_t>(in.logit_place[row]) * vocab_size_;
                copies.push_back(
                    host::copy_out(to, buffers_[model::kLogits], row * row_bytes, row_bytes));
            }
        }
    } else {
        in.logits.resize(rows * vocab_size_);
        copies.push_back(
            host::copy_out(in.logits.data(), buffers_[model::kLogits], 0, rows * row_bytes));
    }
    const tenon_point here = timeline_.at(++ticks_);
    in.done = here.value;
    return queue_.copy(copies, {{&stepped, 1}, {&here, 1}});
}

Status ModelRunner::submit(std::span<const StepItem> items) {
    if (in_flight_ == kStepsInFlight) {
        return Error{Code::kBusy, fmt::format("{} steps are in flight; wait for the oldest first",
                                              kStepsInFlight)};
    }
    TENON_CHECK(check(items));
    Inputs& in = inputs_[(oldest_ + in_flight_) % kStepsInFlight];
    in.clear();
    TENON_CHECK(grow(items, in));
    ++in_flight_;
    fill(items, in);
    tenon_point stepped{};
    Status status = send(items, in, step_, options_.draws(), stepped);
    if (status.ok()) status = read(in, stepped);
    return undo(std::move(status));
}

Status ModelRunner::wait() {
    if (in_flight_ == 0) return Error{Code::kInvalid, "no step is in flight"};
    Inputs& in = inputs_[oldest_];
    TENON_CHECK(undo(timeline_.wait(in.done)));
    std::swap(sampled_, in.sampled);
    std::swap(logits_, in.logits);
    std::swap(logit_place_, in.logit_place);
    oldest_ = (oldest_ + 1) % kStepsInFlight;
    --in_flight_;
    return {};
}

// After a failure: no step in flight has happened. The newest is undone first.
Status ModelRunner::undo(Status status) {
    if (status.ok()) return status;
    const Status renewed = renew_queue();
    while (in_flight_ > 0) {
        --in_flight_;
        for (const auto& [sequence, before] :
             inputs_[(oldest_ + in_flight_) % kStepsInFlight].grown)
            sequence->truncate(before);
    }
    TENON_CHECK(renewed);
    return status;
}

Status ModelRunner::step(std::span<const StepItem> items) {
    TENON_CHECK(submit(items));
    return wait();
}

Status ModelRunner::embed(std::span<const StepItem> items) {
    if (!options_.embeddings || in_flight_ != 0) {
        return Error{Code::kInvalid, !options_.embeddings ? "the runner was made without embeddings"
                                                          : "a step is in flight"};
    }
    TENON_CHECK(check(items));
    Inputs& in = inputs_[oldest_];
    in.clear();
    TENON_CHECK(grow(items, in));
    ++in_flight_;
    fill(items, in);
    embeddings_.resize(items.size() * hidden_size_);
    tenon_point stepped{};
    Status status = send(items, in, embed_step_, false, stepped);
    const tenon_copy out = host::copy_out(embeddings_.data(), buffers_[model::kEmbedding], 0,
                                          embeddings_.size() * sizeof(float));
    const tenon_point here = timeline_.at(++ticks_);
    if (status.ok()) status = queue_.copy({&out, 1}, {{&stepped, 1}, {&here, 1}});
    if (status.ok()) status = timeline_.wait(here.value);
    TENON_CHECK(undo(std::move(status)));
    --in_flight_;
    return {};
}

std::span<const float> ModelRunner::row_logits(size_t row) const noexcept {
    if (row >= logit_place_.size() || logit_place_[row] < 0) return {};
    return std::span(logits_).subspan(static_cast<size_t>(logit_place_[row]) * vocab_size_,
                                      vocab_size_);
}

std::span<const float> ModelRunner::embedding(size_t item) const noexcept {
    return std::span(embeddings_).subspan(item * hidden_size_, hidden_size_);
}

// A failure stays with its timeline for good; closing the queue waits for what is still in it.
Status ModelRunner::renew_queue() {
    queue_.reset();
    timeline_.reset();
    ticks_ = 0;
    TENON_TRY(timeline_, device_.timeline());
    TENON_TRY(queue_, device_.queue());
    return {};
}

Status ModelRunner::prefill(Sequence& sequence, std::span<const int32_t> tokens,
                            const sampling::SamplingParams& sampling) {
    while (!tokens.empty()) {
        const size_t n = std::min<size_t>(tokens.size(), options_.step_tokens_max);
        const StepItem item{&sequence, tokens.first(n), 1, &sampling};
        TENON_CHECK(step({&item, 1}));
        tokens = tokens.subspan(n);
    }
    return {};
}

}  // namespace tenon::engine
