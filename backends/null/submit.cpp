#include "null_backend.h"

namespace tenon::null_backend {
namespace {

// Bytes of `output` with these symbols; false when it wraps or a symbol is negative.
bool output_bytes(const Exec::Output& output, const int64_t* symbols, uint64_t* bytes) noexcept {
    *bytes = output.element_bytes;
    for (uint32_t d = 0; d < output.rank; ++d) {
        const int64_t extent = sdk::extent(output.dims[d], symbols);
        if (extent < 0 || __builtin_mul_overflow(*bytes, static_cast<uint64_t>(extent), bytes)) {
            return false;
        }
    }
    return true;
}

sdk::Status check_bind(const Exec& exec, const tenon_bind& bind) noexcept {
    if (exec.measured) {
        return sdk::fail(TENON_INVALID, "The program was prepared with PREPARE_MEASURE.");
    }
    if (bind.n_slots != exec.n_slots || (bind.n_slots != 0 && bind.buffers == nullptr)) {
        return sdk::fail(TENON_INVALID, "%u buffers are bound, the program has %u slots.",
                         bind.n_slots, exec.n_slots);
    }
    if (exec.n_symbols != 0 && bind.symbols == nullptr) {
        return sdk::fail(TENON_INVALID, "tenon_bind.symbols is null.");
    }
    if (uint64_t{bind.bucket} * exec.n_symbols + exec.n_symbols > exec.bucket_symbols.size()) {
        return sdk::fail(TENON_INVALID, "Bucket %u was not prepared.", bind.bucket);
    }
    const int64_t* max = exec.bucket_symbols.data() + uint64_t{bind.bucket} * exec.n_symbols;
    for (uint32_t i = 0; i < exec.n_symbols; ++i) {
        if (bind.symbols[i] < 0 || bind.symbols[i] > max[i]) {
            return sdk::fail(TENON_INVALID, "Symbol %u is %lld, the bucket allows 0 to %lld.", i,
                             static_cast<long long>(bind.symbols[i]),
                             static_cast<long long>(max[i]));
        }
    }
    for (const Exec::Output& output : exec.outputs) {
        Buffer* buffer = Handles::get(bind.buffers[output.slot]);
        if (buffer == nullptr) continue;
        const uint64_t offset = bind.offsets == nullptr ? 0 : bind.offsets[output.slot];
        uint64_t bytes = 0;
        if (!output_bytes(output, bind.symbols, &bytes) || offset > buffer->memory.bytes() ||
            bytes > buffer->memory.bytes() - offset) {
            return sdk::fail(TENON_INVALID, "The output of slot %u does not fit its buffer.",
                             output.slot);
        }
    }
    return {};
}

} // namespace

sdk::Status Exec::run(const tenon_bind& bind) const noexcept {
    if (bind.cancel != nullptr && __atomic_load_n(bind.cancel, __ATOMIC_RELAXED) != 0) {
        return sdk::fail(TENON_CANCELLED, "The cancel word was set.");
    }
    for (const Output& output : outputs) {
        Buffer* buffer = Handles::get(bind.buffers[output.slot]);
        if (buffer == nullptr) continue;
        const uint64_t offset = bind.offsets == nullptr ? 0 : bind.offsets[output.slot];
        uint64_t bytes = 0;
        if (output_bytes(output, bind.symbols, &bytes)) std::memset(buffer->at(offset), 0, bytes);
    }
    if (bind.progress != nullptr) {
        __atomic_fetch_add(bind.progress, uint64_t{n_nodes}, __ATOMIC_RELAXED);
    }
    return {};
}

sdk::Status Impl::submit(Queue& queue, Exec& exec, const tenon_bind& bind, const tenon_sync& sync) {
    TENON_SDK_CHECK(check_bind(exec, bind));
    return queue.order(
        sync, [&] { return exec.run(bind); },
        [&](Work& work) {
            work.kind = Work::Kind::kStep;
            work.exec = &exec;
            work.bind = bind;
            for (uint32_t i = 0; i < bind.n_slots; ++i) {
                work.buffers[i] = bind.buffers[i];
                work.offsets[i] = bind.offsets == nullptr ? 0 : bind.offsets[i];
            }
            for (uint32_t i = 0; i < exec.n_symbols; ++i) work.symbols[i] = bind.symbols[i];
            work.bind.buffers = work.buffers;
            work.bind.offsets = work.offsets;
            work.bind.symbols = work.symbols;
            return sdk::Status();
        });
}

} // namespace tenon::null_backend
