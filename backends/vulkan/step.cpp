#include <algorithm>
#include <cstring>

#include "backends/vulkan/recorder.h"
#include "backends/vulkan/result.h"
#include "shaders/include/step.h"

namespace tenon::vulkan {
namespace {

constexpr uint64_t kErrorBytes = STEP_ERROR_WORDS * sizeof(uint32_t);

bool same(const std::vector<BoundSlot>& a, const tenon_bind& bind) noexcept {
    for (uint32_t i = 0; i < a.size(); ++i)
        if (!(a[i] == bound_slot(bind, i))) return false;
    return true;
}

// A recording of the bucket with these buffers. Null and OK while all others are in flight.
sdk::Status find_recording(Exec& exec, const tenon_bind& bind, Recording** found) {
    auto& known = exec.recordings[bind.bucket];
    *found = nullptr;
    for (auto& r : known) {
        if (!same(r->bound, bind)) continue;
        *found = r.get();
        return {};
    }
    Recording* free_one = nullptr;
    for (auto& r : known)
        if (r->in_flight.load(std::memory_order_acquire) == 0 &&
            (free_one == nullptr || r->last_use < free_one->last_use))
            free_one = r.get();
    if (known.size() < kRecordingsMax) {
        known.push_back(std::make_unique<Recording>());
        free_one = known.back().get();
    }
    if (free_one == nullptr) return {};
    free_one->bound.resize(exec.n_slots);
    for (uint32_t i = 0; i < exec.n_slots; ++i)
        free_one->bound[i] = bound_slot(bind, i);
    sdk::Status status = record(exec, bind.bucket, *free_one);
    if (!status.ok()) {
        // Matches no bind: it is recorded anew.
        free_one->bound.assign(exec.n_slots, BoundSlot{});
        for (BoundSlot& slot : free_one->bound)
            slot.id = UINT64_MAX;
        return status;
    }
    *found = free_one;
    return {};
}

}  // namespace

BoundSlot bound_slot(const tenon_bind& bind, uint32_t slot) noexcept {
    const Buffer* buffer = Handles::get(bind.buffers[slot]);
    if (buffer == nullptr) return {};
    const uint64_t offset = bind.offsets == nullptr ? 0 : bind.offsets[slot];
    const uint64_t bytes = buffer->bytes <= offset ? 0 : buffer->bytes - offset;
    return {buffer->id, buffer->memory.buffer(), buffer->memory.offset() + offset,
            (bytes + 3) / 4 * 4};
}

uint64_t groups_of(const Groups& groups, const int64_t* symbols) noexcept {
    const int64_t extent = std::min(sdk::extent(groups.extent, symbols), groups.most);
    if (extent <= 0) return 0;
    return (static_cast<uint64_t>(extent) + groups.per - 1) / groups.per * groups.times;
}

namespace {

void write_words(const Exec& exec, const tenon_bind& bind, uint32_t* words) noexcept {
    shaders::StepDispatch step{};
    for (const Dispatch& d : exec.dispatches[bind.bucket]) {
        const int64_t rows = std::min(sdk::extent(d.rows, bind.symbols), d.rows_most);
        step.x = static_cast<uint32_t>(groups_of(d.groups[0], bind.symbols));
        step.y = static_cast<uint32_t>(groups_of(d.groups[1], bind.symbols));
        step.z = static_cast<uint32_t>(groups_of(d.groups[2], bind.symbols));
        step.rows = rows < 0 ? 0 : static_cast<uint32_t>(rows);
        if (step.rows == 0) step.x = step.y = step.z = 0;
        std::memcpy(words, &step, sizeof step);
        words += STEP_DISPATCH_WORDS;
    }
}

sdk::Status read_profile(Exec& exec) {
    const uint32_t count = static_cast<uint32_t>(exec.nodes.size());
    std::vector<uint64_t>& ticks = exec.ticks;
    TENON_SDK_CHECK(check_result(
        vkGetQueryPoolResults(exec.device->handle, exec.queries, 0, 2 * count,
                              ticks.size() * sizeof(uint64_t), ticks.data(), sizeof(uint64_t),
                              VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
        "vkGetQueryPoolResults"));
    const Features& features = exec.device->features;
    const uint64_t mask =
        features.timestamp_bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << features.timestamp_bits) - 1;
    for (uint32_t i = 0; i < count; ++i)
        exec.node_ns[i] =
            static_cast<uint64_t>(static_cast<double>((ticks[2 * i + 1] - ticks[2 * i]) & mask) *
                                  static_cast<double>(features.timestamp_ns));
    return {};
}

const char* what_was_wrong(uint32_t kind) noexcept {
    switch (kind) {
        case ERROR_TOKEN_ID: return "a token id outside the vocabulary";
        case ERROR_KV_SLOT: return "a KV slot outside the pool";
        case ERROR_BLOCK_TABLE: return "a block outside the KV pool";
        case ERROR_Q_START:
            return "a start that falls or ends beyond the rows; starts begin at 0 and never fall";
        case ERROR_SEQ_LEN:
            return "a length beyond its row of the block table, or below its new tokens";
        case ERROR_ROW_INDEX: return "a row outside its source";
        case ERROR_POSITION: return "a position outside its table";
        case ERROR_SAMPLE_PARAM: return "a sampling parameter outside its range";
        default: return "a value that the device refused";
    }
}

sdk::Status take_run(Exec& exec, const tenon_bind& bind, StepRun** run) {
    const sdk::Status busy = sdk::fail(TENON_BUSY, "All runs of the program are in flight.");
    // Timestamps of a step are read before the next one begins.
    const uint32_t runs = exec.profile ? 1 : kStepsInFlight;
    for (uint32_t i = 0; i < runs && *run == nullptr; ++i)
        if (!exec.runs[i].taken.load(std::memory_order_acquire)) *run = &exec.runs[i];
    if (*run == nullptr) return busy;
    StepRun& taken = **run;
    *run = nullptr;
    Recording* recording = nullptr;
    TENON_SDK_CHECK(find_recording(exec, bind, &recording));
    if (recording == nullptr) return busy;
    recording->last_use = ++exec.uses;
    recording->in_flight.fetch_add(1, std::memory_order_relaxed);
    write_words(exec, bind, taken.words);
    std::memset(taken.words + exec.step_words, 0, kErrorBytes);
    taken.recording = recording;
    taken.bucket = bind.bucket;
    taken.taken.store(true, std::memory_order_relaxed);
    *run = &taken;
    return {};
}

}  // namespace

sdk::Status begin_step(Exec& exec, const tenon_bind& bind, StepRun** run,
                       uint32_t* n_segments) noexcept {
    *run = nullptr;
    try {
        TENON_SDK_CHECK(take_run(exec, bind, run));
    } catch (const std::exception&) {
        return sdk::fail(TENON_OOM_HOST, "Host memory is out while a step is recorded.");
    }
    *n_segments = static_cast<uint32_t>((*run)->recording->segments.size());
    return {};
}

StepSegment step_segment(StepRun& run, uint32_t segment) noexcept {
    const std::vector<Segment>& all = run.recording->segments;
    StepSegment made;
    if (segment == 0) made.commands[made.n_commands++] = run.before;
    made.commands[made.n_commands++] = all[segment].commands;
    if (segment + 1 == all.size()) made.commands[made.n_commands++] = run.behind;
    made.nodes = all[segment].end_node - all[segment].first_node;
    return made;
}

sdk::Status finish_step(StepRun& run, bool complete) noexcept {
    Exec& exec = *run.exec;
    sdk::Status status;
    if (complete) {
        shaders::StepError error{};
        std::memcpy(&error, run.words + exec.step_words, sizeof error);
        if (error.kind != ERROR_NONE) {
            const auto& dispatches = exec.dispatches[run.bucket];
            const uint32_t node =
                error.dispatch < dispatches.size() ? dispatches[error.dispatch].node : TENON_NONE;
            status = sdk::fail(TENON_INVALID, "Index %u is %d: %s.", error.index,
                               static_cast<int32_t>(error.value), what_was_wrong(error.kind))
                         .at_node(node);
        } else if (exec.profile) {
            status = read_profile(exec);
        }
    }
    run.recording->in_flight.fetch_sub(1, std::memory_order_release);
    run.recording = nullptr;
    run.taken.store(false, std::memory_order_release);
    return status;
}

}  // namespace tenon::vulkan
