#include "backends/common/queued_work.h"

namespace tenon::common {

sdk::Status check_points(const tenon_sync& sync) noexcept {
    if (sync.n_waits > kPointsMax || sync.n_signals > kPointsMax) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "Work has %u waits and %u signals, this backend takes %u of each.",
                         sync.n_waits, sync.n_signals, kPointsMax);
    }
    return {};
}

void QueuedWork::take_points(const tenon_sync& sync) noexcept {
    n_waits = sync.n_waits;
    n_signals = sync.n_signals;
    for (uint32_t i = 0; i < n_waits; ++i)
        waits[i] = sync.waits[i];
    for (uint32_t i = 0; i < n_signals; ++i)
        signals[i] = sync.signals[i];
}

void QueuedWork::take_bind(const StepBounds& bounds, const tenon_bind& from) noexcept {
    kind = Kind::kStep;
    bind = from;
    for (uint32_t i = 0; i < bounds.n_slots; ++i) {
        buffers[i] = from.buffers[i];
        offsets[i] = from.offsets == nullptr ? 0 : from.offsets[i];
    }
    for (uint32_t i = 0; i < bounds.n_symbols; ++i)
        symbols[i] = from.symbols[i];
    bind.buffers = buffers;
    bind.offsets = offsets;
    bind.symbols = symbols;
}

}  // namespace tenon::common
