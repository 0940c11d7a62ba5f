#include "backends/vulkan/exec.h"

namespace tenon::vulkan {
namespace {

// Bytes of a bound value with these symbols; false when it wraps or an extent is negative.
bool value_bytes(const Value& value, const int64_t* symbols, uint64_t* bytes) noexcept {
    const int64_t rows = sdk::extent(value.dims[0], symbols);
    *bytes = sdk::dtype_bytes(value.dtype);
    return rows >= 0 && !__builtin_mul_overflow(*bytes, value.cols, bytes) &&
           !__builtin_mul_overflow(*bytes, static_cast<uint64_t>(rows), bytes);
}

sdk::Status check_slots(const Exec& exec, const tenon_bind& bind) noexcept {
    const uint64_t align = exec.device->features.storage_align;
    for (const Value& value : exec.values) {
        if (value.kind != TENON_VALUE_INPUT && value.kind != TENON_VALUE_OUTPUT) continue;
        if (!value.used()) continue;
        const Buffer* buffer = Handles::get(bind.buffers[value.slot]);
        const uint64_t offset = bind.offsets == nullptr ? 0 : bind.offsets[value.slot];
        uint64_t bytes = 0;
        if (buffer == nullptr || !value_bytes(value, bind.symbols, &bytes) ||
            offset > buffer->bytes || bytes > buffer->bytes - offset) {
            return sdk::fail(TENON_INVALID, "The %llu bytes of slot %u do not fit its buffer.",
                             static_cast<unsigned long long>(bytes), value.slot);
        }
        if (offset % sdk::dtype_bytes(value.dtype) != 0) {
            return sdk::fail(TENON_INVALID, "Slot %u is bound at offset %llu, off its alignment.",
                             value.slot, static_cast<unsigned long long>(offset));
        }
        if (offset % align != 0) {
            return sdk::fail(TENON_UNSUPPORTED,
                             "Slot %u is bound at offset %llu; this device wants multiples of %llu.",
                             value.slot, static_cast<unsigned long long>(offset),
                             static_cast<unsigned long long>(align));
        }
    }
    return {};
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
    if (bind.bucket >= exec.n_buckets) {
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
    return check_slots(exec, bind);
}

} // namespace

sdk::Status Impl::submit(Queue& queue, Exec& exec, const tenon_bind& bind, const tenon_sync& sync) {
    TENON_SDK_CHECK(check_bind(exec, bind));
    const std::lock_guard<std::mutex> lock(queue.device->mutex);
    Work* work = nullptr;
    TENON_SDK_CHECK(queue.reserve(sync, &work));
    work->kind = Work::Kind::kStep;
    work->exec = &exec;
    work->bind = bind;
    for (uint32_t i = 0; i < bind.n_slots; ++i) {
        work->buffers[i] = bind.buffers[i];
        work->offsets[i] = bind.offsets == nullptr ? 0 : bind.offsets[i];
    }
    for (uint32_t i = 0; i < exec.n_symbols; ++i) work->symbols[i] = bind.symbols[i];
    work->bind.buffers = work->buffers;
    work->bind.offsets = work->offsets;
    work->bind.symbols = work->symbols;
    queue.push();
    return {};
}

} // namespace tenon::vulkan
