#include "backends/common/bind_check.h"

namespace tenon::common {
namespace {

sdk::Status check_symbols(const StepBounds& bounds, const tenon_bind& bind) noexcept {
    if (bounds.n_symbols != 0 && bind.symbols == nullptr)
        return sdk::fail(TENON_INVALID, "tenon_bind.symbols is null.");
    if (bind.bucket >= bounds.n_buckets)
        return sdk::fail(TENON_INVALID, "Bucket %u was not prepared.", bind.bucket);
    const int64_t* max = bounds.symbols_max(bind.bucket);
    for (uint32_t i = 0; i < bounds.n_symbols; ++i) {
        if (bind.symbols[i] < 0 || bind.symbols[i] > max[i]) {
            return sdk::fail(TENON_INVALID, "Symbol %u is %lld, the bucket allows 0 to %lld.", i,
                             static_cast<long long>(bind.symbols[i]),
                             static_cast<long long>(max[i]));
        }
    }
    return {};
}

sdk::Status check_value(const BoundValue& value, const tenon_bind& bind, BufferBytes bytes_of,
                        uint64_t align) noexcept {
    tenon_buffer* buffer = bind.buffers[value.slot];
    if (buffer == nullptr && value.optional) return {};
    const uint64_t offset = bind.offsets == nullptr ? 0 : bind.offsets[value.slot];
    const uint64_t room = buffer == nullptr ? 0 : bytes_of(buffer);
    uint64_t bytes = 0;
    if (!value_bytes(value, bind.symbols, &bytes) || buffer == nullptr || offset > room ||
        bytes > room - offset) {
        return sdk::fail(TENON_INVALID, "The %llu bytes of slot %u do not fit its buffer.",
                         static_cast<unsigned long long>(bytes), value.slot);
    }
    if (offset % value.element_bytes != 0) {
        return sdk::fail(TENON_INVALID, "Slot %u is bound at offset %llu, off its alignment.",
                         value.slot, static_cast<unsigned long long>(offset));
    }
    if (offset % align != 0) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "Slot %u is bound at offset %llu; this device wants multiples of %llu.",
                         value.slot, static_cast<unsigned long long>(offset),
                         static_cast<unsigned long long>(align));
    }
    return {};
}

}  // namespace

sdk::Status check_bind(const StepBounds& bounds, const tenon_bind& bind, BufferBytes bytes_of,
                       uint64_t align) noexcept {
    if (bounds.measured)
        return sdk::fail(TENON_INVALID, "The program was prepared with PREPARE_MEASURE.");
    if (bind.n_slots != bounds.n_slots || (bind.n_slots != 0 && bind.buffers == nullptr)) {
        return sdk::fail(TENON_INVALID, "%u buffers are bound, the program has %u slots.",
                         bind.n_slots, bounds.n_slots);
    }
    TENON_SDK_CHECK(check_symbols(bounds, bind));
    for (const BoundValue& value : bounds.bound)
        TENON_SDK_CHECK(check_value(value, bind, bytes_of, align));
    return {};
}

}  // namespace tenon::common
