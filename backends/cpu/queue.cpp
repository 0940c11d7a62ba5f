#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/exec.h"

namespace tenon::cpu {

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
    while (count != 0) {
        if (!device->run_one(lock)) device->changed.wait(lock);
    }
    for (size_t i = 0; i < device->queues.size(); ++i) {
        if (device->queues[i] == this) {
            device->queues.erase(device->queues.begin() + static_cast<std::ptrdiff_t>(i));
            break;
        }
    }
}

sdk::Status Queue::reserve(const tenon_sync& sync, Work** work) {
    TENON_SDK_CHECK(common::check_points(sync));
    if (count == kPendingMax) {
        return sdk::fail(TENON_BUSY, "The queue holds %u pieces of unfinished work.", count);
    }
    Work& place = ring[(first + count) % kPendingMax];
    place.take_points(sync);
    *work = &place;
    return {};
}

void Queue::push() noexcept {
    ++count;
    device->changed.notify_all();
}

namespace {

sdk::Status run(Work& work) noexcept {
    switch (work.kind) {
        case Work::Kind::kCopy:
            common::run_copies<Handles>(work.copies.data(),
                                        static_cast<uint32_t>(work.copies.size()));
            return {};
        case Work::Kind::kMove:
            return run_moves(work.moves.data(), static_cast<uint32_t>(work.moves.size()));
        case Work::Kind::kStep: return run_step(*work.exec, work.bind);
    }
    return sdk::fail(TENON_INTERNAL, "Queued work has no kind.");
}

}  // namespace

bool Device::run_one(std::unique_lock<std::mutex>& lock) noexcept {
    if (running) return false;
    for (Queue* queue : queues) {
        if (queue->count == 0) continue;
        Work& work = queue->ring[queue->first];
        bool ready = false;
        const sdk::Status* failed = common::failed_wait<Handles>(work.waits, work.n_waits, &ready);
        if (!ready && failed == nullptr) continue;
        sdk::Status status;
        if (failed != nullptr) {
            status = *failed;
        } else {
            running = true;
            lock.unlock();
            status = run(work);
            lock.lock();
            running = false;
        }
        common::end_signals<Handles>(work.signals, work.n_signals, status);
        queue->first = (queue->first + 1) % kPendingMax;
        --queue->count;
        changed.notify_all();
        return true;
    }
    return false;
}

void Device::start_driver() {
    if (driver.joinable() || closing) return;
    driver = std::thread([this] {
        std::unique_lock<std::mutex> lock(mutex);
        while (!closing) {
            if (!run_one(lock)) changed.wait(lock);
        }
    });
}

}  // namespace tenon::cpu
