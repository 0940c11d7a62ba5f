#include <chrono>

#include "backends/common/bind_check.h"
#include "backends/cpu/exec.h"

namespace tenon::cpu {
namespace {

void resolve(Exec& exec, const tenon_bind& bind) noexcept {
    for (size_t i = 0; i < exec.values.size(); ++i) {
        const Value& value = exec.values[i];
        exec.rows[i] = value.rank == 0 ? 0 : sdk::extent(value.dims[0], bind.symbols);
        exec.data[i] = nullptr;
        if (value.first_phase == UINT32_MAX) continue;
        switch (value.kind) {
            case TENON_VALUE_INPUT:
            case TENON_VALUE_OUTPUT:
                exec.data[i] = Handles::get(bind.buffers[value.slot])
                                   ->at(bind.offsets == nullptr ? 0 : bind.offsets[value.slot]);
                break;
            case TENON_VALUE_WEIGHT:
                exec.data[i] = reinterpret_cast<uint8_t*>(
                    const_cast<float*>(exec.weights->entries[value.weight].plain));
                break;
            case TENON_VALUE_TEMP:
                if (value.as_float) exec.data[i] = exec.shared.data() + value.float_at;
                break;
            default: break;
        }
    }
}

sdk::Status check_sequences(const Exec& exec, const IndexCheck& check) noexcept {
    const int32_t* starts = exec.indices(check.value);
    const int64_t sequences = exec.rows[check.value] - 1;
    int64_t last = 0;
    for (int64_t s = 0; s <= sequences; ++s) {
        if (starts[s] < last || starts[s] > exec.rows[check.tokens] || (s == 0 && starts[s] != 0))
            return sdk::fail(
                TENON_INVALID,
                "q_start[%lld] is %d; starts begin at 0, never fall and end at most at "
                "%lld tokens.",
                static_cast<long long>(s), starts[s],
                static_cast<long long>(exec.rows[check.tokens]));
        last = starts[s];
    }
    if (check.block_table == TENON_NONE) return {};
    const uint64_t width = exec.values[check.block_table].cols;
    const uint32_t block_tokens = exec.kv->geometry.block_tokens;
    for (int64_t s = 0; s < sequences; ++s) {
        const int32_t length = exec.indices(check.kv_len)[s];
        const int32_t count = starts[s + 1] - starts[s];
        if (count == 0) continue;
        const uint64_t blocks =
            (static_cast<uint64_t>(length < 0 ? 0 : length) + block_tokens - 1) / block_tokens;
        if (length < count || blocks > width)
            return sdk::fail(TENON_INVALID,
                             "kv_len[%lld] is %d with %d new tokens; its row of the block table "
                             "holds %llu blocks of %u.",
                             static_cast<long long>(s), length, count,
                             static_cast<unsigned long long>(width), block_tokens);
        const int32_t* row = exec.indices(check.block_table) + static_cast<uint64_t>(s) * width;
        for (uint64_t b = 0; b < blocks; ++b)
            if (row[b] < 0 || row[b] >= static_cast<int32_t>(exec.kv->desc.n_blocks))
                return sdk::fail(TENON_INVALID, "Block %d of sequence %lld is not one of %u.",
                                 row[b], static_cast<long long>(s), exec.kv->desc.n_blocks);
    }
    return {};
}

// Indices are data of the device: a wrong one must not become a wild read.
sdk::Status check_indices(const Exec& exec) noexcept {
    for (const IndexCheck& check : exec.checks) {
        if (check.kind == IndexCheck::Kind::kSequences) {
            sdk::Status status = check_sequences(exec, check);
            if (!status.ok()) return std::move(status).at_node(check.node);
            continue;
        }
        const int64_t limit = check.kind == IndexCheck::Kind::kRows ? exec.rows[check.limit_value]
                                                                    : int64_t{check.limit};
        const int64_t lowest = check.kind == IndexCheck::Kind::kSlots ? INT32_MIN : 0;
        const int32_t* index = exec.indices(check.value);
        for (int64_t i = 0; i < exec.rows[check.value]; ++i) {
            if (index[i] >= lowest && index[i] < limit) continue;
            return sdk::fail(TENON_INVALID, "Index %lld is %d, legal is below %lld.",
                             static_cast<long long>(i), index[i], static_cast<long long>(limit))
                .at_node(check.node);
        }
    }
    return {};
}

uint64_t now_ns() noexcept {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                     std::chrono::steady_clock::now().time_since_epoch())
                                     .count());
}

}  // namespace

uint32_t Exec::units(uint32_t phase) noexcept {
    const uint32_t units = phases[phase].kind->units(*this, phases[phase]);
    phase_units[phase] = units;
    return units;
}

void Exec::run(uint32_t phase, uint32_t unit, uint32_t thread) noexcept {
    const Phase& p = phases[phase];
    p.kind->run(*this, p, unit, phase_units[phase], thread);
}

bool Exec::finished(uint32_t phase) noexcept {
    if (profile) {
        const uint64_t now = now_ns();
        phase_ns[phase] = now - phase_began_ns;
        phase_began_ns = now;
    }
    if (bind->progress != nullptr)
        __atomic_fetch_add(bind->progress, uint64_t{phases[phase].nodes.size()}, __ATOMIC_RELAXED);
    cancelled = bind->cancel != nullptr && __atomic_load_n(bind->cancel, __ATOMIC_RELAXED) != 0;
    return !cancelled;
}

sdk::Status run_step(Exec& exec, const tenon_bind& bind) noexcept {
    exec.bind = &bind;
    exec.cancelled = bind.cancel != nullptr && __atomic_load_n(bind.cancel, __ATOMIC_RELAXED) != 0;
    if (!exec.cancelled) {
        ++exec.step;
        resolve(exec, bind);
        TENON_SDK_CHECK(check_indices(exec));
        if (exec.profile) exec.phase_began_ns = now_ns();
        exec.device->pool->run(exec, static_cast<uint32_t>(exec.phases.size()));
    }
    return exec.cancelled ? sdk::fail(TENON_CANCELLED, "The cancel word was set.") : sdk::Status();
}

sdk::Status Impl::submit(Queue& queue, Exec& exec, const tenon_bind& bind, const tenon_sync& sync) {
    const auto bytes_of = [](tenon_buffer* buffer) -> uint64_t {
        return Handles::get(buffer)->memory.bytes();
    };
    TENON_SDK_CHECK(common::check_bind(exec, bind, bytes_of));
    const std::lock_guard<std::mutex> lock(queue.device->mutex);
    Work* work = nullptr;
    TENON_SDK_CHECK(queue.reserve(sync, &work));
    work->take_bind(exec, bind);
    work->exec = &exec;
    queue.push();
    return {};
}

}  // namespace tenon::cpu
