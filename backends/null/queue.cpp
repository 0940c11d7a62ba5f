#include "null_backend.h"

namespace tenon::null_backend {

sdk::Status Impl::queue_open(Device& device, uint32_t kind, std::unique_ptr<Queue>& queue) {
    if (kind != 0) {
        return sdk::fail(TENON_UNSUPPORTED, "Queue kind %u is not known, only 0 is.", kind);
    }
    auto made = std::make_unique<Queue>();
    made->ring = std::make_unique<Work[]>(kPendingMax);
    const std::lock_guard<std::mutex> lock(device.mutex);
    device.queues.push_back(made.get());
    made->device = &device;
    queue = std::move(made);
    return {};
}

Queue::~Queue() {
    if (device == nullptr) return;
    std::unique_lock<std::mutex> lock(device->mutex);
    device->changed.wait(lock, [&] { return count == 0; });
    for (size_t i = 0; i < device->queues.size(); ++i) {
        if (device->queues[i] == this) {
            device->queues.erase(device->queues.begin() + static_cast<std::ptrdiff_t>(i));
            break;
        }
    }
}

namespace {

sdk::Status run(const Work& work) noexcept {
    switch (work.kind) {
        case Work::Kind::kCopy:
            common::run_copies<Handles>(work.copies.data(),
                                        static_cast<uint32_t>(work.copies.size()));
            return {};
        case Work::Kind::kMove:
            return run_moves(work.moves.data(), static_cast<uint32_t>(work.moves.size()));
        case Work::Kind::kStep: return work.exec->run(work.bind);
    }
    return sdk::fail(TENON_INTERNAL, "Queued work has no kind.");
}

}  // namespace

void Device::pump() noexcept {
    bool moved = true;
    while (moved) {
        moved = false;
        for (Queue* queue : queues) {
            while (queue->count > 0) {
                Work& work = queue->ring[queue->first];
                bool ready = false;
                const sdk::Status* failed =
                    common::failed_wait<Handles>(work.waits, work.n_waits, &ready);
                if (!ready && failed == nullptr) break;
                const sdk::Status status = failed != nullptr ? *failed : run(work);
                queue->first = (queue->first + 1) % kPendingMax;
                --queue->count;
                common::end_signals<Handles>(work.signals, work.n_signals, status);
                moved = true;
            }
        }
    }
}

}  // namespace tenon::null_backend
