#include "backends/vulkan/queue.h"

#include <cstring>

#include "backends/vulkan/result.h"

namespace tenon::vulkan {

sdk::Status Impl::queue_open(Device& device, uint32_t kind, std::unique_ptr<Queue>& queue) {
    if (kind != 0) {
        return sdk::fail(TENON_UNSUPPORTED, "Queue kind %u is not known, only 0 is.", kind);
    }
    constexpr size_t kUsual = 16;  // copies or moves of one piece of work
    auto made = std::make_unique<Queue>();
    made->ring = std::make_unique<Work[]>(kPendingMax);
    for (uint32_t i = 0; i < kPendingMax; ++i) {
        made->ring[i].queue = made.get();
        made->ring[i].copies.reserve(kUsual);
        made->ring[i].moves.reserve(kUsual);
    }
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

sdk::Status Queue::reserve(const tenon_sync& sync, Work** work) {
    if (device->lost.load()) return device->lost_status();
    TENON_SDK_CHECK(common::check_points(sync));
    if (count == kPendingMax) {
        return sdk::fail(TENON_BUSY, "The queue holds %u pieces of unfinished work.", count);
    }
    Work& place = ring[(first + count) % kPendingMax];
    place.status = {};
    place.in_flight = 0;
    place.take_points(sync);
    *work = &place;
    return {};
}

void Queue::push() noexcept {
    ++count;
    device->changed.notify_all();
}

sdk::Status StagingRing::open(Device& device) {
    return device.arena.take(Purpose::kStaging, kStagingBytes, "The staging ring", memory_);
}

bool StagingRing::take(uint64_t bytes, uint64_t* offset) noexcept {
    constexpr uint64_t kAlign = 64;
    uint64_t at = (head_ + kAlign - 1) / kAlign * kAlign;
    if (at % kStagingBytes + bytes > kStagingBytes)
        at = (at / kStagingBytes + 1) * kStagingBytes;  // the rest of this round is left out
    if (at + bytes - tail_ > kStagingBytes) return false;
    head_ = at + bytes;
    *offset = at % kStagingBytes;
    return true;
}

sdk::Status Worker::start() {
    TENON_SDK_CHECK(staging_.open(device_));
    for (Flight& flight : flights_) {
        VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
        info.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
        info.queueFamilyIndex = device_.features.queue_family;
        TENON_VK_CHECK(vkCreateCommandPool, device_.handle, &info, nullptr, &flight.pool);
        VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
        allocate.commandPool = flight.pool;
        allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
        allocate.commandBufferCount = 1;
        TENON_VK_CHECK(vkAllocateCommandBuffers, device_.handle, &allocate, &flight.commands);
    }
    worker_ = std::thread([this] { work_loop(); });
    reaper_ = std::thread([this] { reap_loop(); });
    return {};
}

void Worker::stop() noexcept {
    {
        const std::lock_guard<std::mutex> lock(device_.mutex);
        closing_ = true;
    }
    device_.changed.notify_all();
    if (worker_.joinable()) worker_.join();
    if (reaper_.joinable()) reaper_.join();
}

Worker::~Worker() {
    stop();
    for (const Flight& flight : flights_)
        if (flight.pool != VK_NULL_HANDLE)
            vkDestroyCommandPool(device_.handle, flight.pool, nullptr);
}

namespace {

// The failure that a wait of the work ended with, or null.
const sdk::Status* failed_wait(const Work& work) noexcept {
    for (uint32_t i = 0; i < work.n_waits; ++i) {
        const Timeline& timeline = *Handles::get(work.waits[i].timeline);
        if (timeline.value < work.waits[i].value && !timeline.failure.ok())
            return &timeline.failure;
    }
    return nullptr;
}

// Whether every wait is reached, or will be by work that is on the VkQueue.
bool may_start(const Work& work) noexcept {
    for (uint32_t i = 0; i < work.n_waits; ++i) {
        const Timeline& timeline = *Handles::get(work.waits[i].timeline);
        if (timeline.value < work.waits[i].value && timeline.pending < work.waits[i].value)
            return false;
    }
    return true;
}

}  // namespace

Work* Worker::find_ready(sdk::Status* failed) noexcept {
    const auto n = static_cast<uint32_t>(device_.queues.size());
    for (uint32_t i = 0; i < n; ++i) {
        const uint32_t index = (next_queue_ + i) % n;
        Queue& queue = *device_.queues[index];
        if (queue.started == queue.count) continue;
        Work& work = queue.ring[(queue.first + queue.started) % kPendingMax];
        *failed = {};
        if (const sdk::Status* failure = failed_wait(work); failure != nullptr) {
            *failed = *failure;
        } else if (device_.lost.load()) {
            *failed = device_.lost_status();
        } else if (!may_start(work)) {
            continue;
        }
        ++queue.started;
        next_queue_ = index + 1;
        return &work;
    }
    return nullptr;
}

void Worker::work_loop() noexcept {
    std::unique_lock<std::mutex> lock(device_.mutex);
    while (!closing_) {
        sdk::Status status;
        Work* work = find_ready(&status);
        if (work == nullptr) {
            device_.changed.wait(lock);
            continue;
        }
        for (uint32_t i = 0; i < work->n_signals; ++i) {
            Timeline& timeline = *Handles::get(work->signals[i].timeline);
            if (timeline.pending < work->signals[i].value)
                timeline.pending = work->signals[i].value;
        }
        lock.unlock();
        if (!status.ok()) {
            finish(*work, status);
        } else if (work->kind == Work::Kind::kStep) {
            run_step(*work);
        } else {
            finish(*work, work->kind == Work::Kind::kCopy ? run_copies(*work) : run_moves(*work));
        }
        lock.lock();
    }
}

void Worker::reap_loop() noexcept {
    std::unique_lock<std::mutex> lock(device_.mutex);
    for (;;) {
        device_.changed.wait(lock, [&] { return in_flight_ != 0 || closing_; });
        if (in_flight_ == 0) return;
        Flight& flight = flights_[first_];
        lock.unlock();
        land(flight);
        lock.lock();
        first_ = (first_ + 1) % kFlightsMax;
        --in_flight_;
        ++landed_;
        staging_.free_until(flight.staging_end);
        --flight.work->in_flight;
        if (flight.last) complete(*flight.work);
        device_.changed.notify_all();
    }
}

void Worker::land(Flight& flight) noexcept {
    Work& work = *flight.work;
    sdk::Status status;
    if (flight.value != 0) status = device_.wait(flight.value);
    bool good = false;
    {
        const std::lock_guard<std::mutex> lock(device_.mutex);
        if (!status.ok() && work.status.ok()) work.status = status;
        // What failed work would have written, nobody shall see.
        good = work.status.ok() && failed_wait(work) == nullptr;
    }
    for (uint32_t i = 0; good && i < flight.n_reads; ++i) {
        const HostRead& read = flight.reads[i];
        for (uint64_t row = 0; row < read.rows; ++row)
            std::memcpy(read.to + row * read.pitch, read.from + row * read.row_bytes,
                        read.row_bytes);
    }
    if (good && flight.nodes != 0 && work.bind.progress != nullptr)
        __atomic_fetch_add(work.bind.progress, uint64_t{flight.nodes}, __ATOMIC_RELAXED);
    if (flight.step == nullptr) return;
    status = finish_step(*flight.step, flight.step_whole && good);
    const std::lock_guard<std::mutex> lock(device_.mutex);
    if (!status.ok() && work.status.ok()) work.status = status;
}

void Worker::complete(Work& work) noexcept {
    if (work.status.ok()) {
        if (const sdk::Status* failure = failed_wait(work); failure != nullptr)
            work.status = *failure;
    }
    common::end_signals<Handles>(work.signals, work.n_signals, work.status);
    Queue& queue = *work.queue;
    queue.first = (queue.first + 1) % kPendingMax;
    --queue.count;
    --queue.started;
    device_.changed.notify_all();
}

bool Worker::idle() noexcept {
    const std::lock_guard<std::mutex> lock(device_.mutex);
    return in_flight_ == 0;
}

void Worker::wait_idle() noexcept {
    std::unique_lock<std::mutex> lock(device_.mutex);
    device_.changed.wait(lock, [&] { return in_flight_ == 0; });
}

Flight& Worker::next_flight(Work& work) noexcept {
    std::unique_lock<std::mutex> lock(device_.mutex);
    device_.changed.wait(lock, [&] { return in_flight_ < kFlightsMax; });
    Flight& flight = flights_[(first_ + in_flight_) % kFlightsMax];
    flight.work = &work;
    flight.value = 0;
    flight.last = false;
    flight.step = nullptr;
    flight.step_whole = false;
    flight.nodes = 0;
    flight.n_reads = 0;
    return flight;
}

void Worker::push(Flight& flight) noexcept {
    {
        const std::lock_guard<std::mutex> lock(device_.mutex);
        flight.staging_end = staging_.head();
        ++in_flight_;
        ++flight.work->in_flight;
    }
    device_.changed.notify_all();
}

sdk::Status Worker::open_flight(Work& work) noexcept {
    if (open_ != nullptr) return {};
    Flight& flight = next_flight(work);
    TENON_VK_CHECK(vkResetCommandPool, device_.handle, flight.pool, 0);
    VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    TENON_VK_CHECK(vkBeginCommandBuffer, flight.commands, &begin);
    n_touched_ = 0;
    open_ = &flight;
    return {};
}

sdk::Status Worker::send(Work&, bool last) noexcept {
    if (open_ == nullptr) return {};
    Flight& flight = *open_;
    open_ = nullptr;
    TENON_VK_CHECK(vkEndCommandBuffer, flight.commands);
    TENON_SDK_CHECK(device_.submit(&flight.commands, 1, &flight.value));
    flight.last = last;
    push(flight);
    return {};
}

sdk::Status Worker::take_staging(Work& work, uint64_t bytes, uint64_t* offset) noexcept {
    std::unique_lock<std::mutex> lock(device_.mutex);
    while (!staging_.take(bytes, offset)) {
        if (open_ != nullptr) {
            lock.unlock();
            TENON_SDK_CHECK(send(work, false));
            lock.lock();
        } else if (in_flight_ == 0) {
            staging_.free_until(staging_.head());  // left by a flight that could not be submitted
            if (!staging_.take(bytes, offset))
                return sdk::fail(TENON_INTERNAL, "The staging ring is smaller than a piece.");
            break;
        } else {
            const uint64_t landed = landed_;
            device_.changed.wait(lock, [&] { return landed_ != landed; });
        }
    }
    lock.unlock();
    return open_flight(work);
}

void Worker::finish(Work& work, const sdk::Status& status) noexcept {
    sdk::Status sent = status;
    if (sent.ok() && open_ != nullptr) {
        sent = send(work, true);
        if (sent.ok()) return;
    }
    open_ = nullptr;
    {
        const std::lock_guard<std::mutex> lock(device_.mutex);
        if (!sent.ok() && work.status.ok()) work.status = sent;
        if (in_flight_ == 0) {
            staging_.free_until(staging_.head());
            complete(work);
            return;
        }
    }
    Flight& flight = next_flight(work);
    flight.last = true;
    push(flight);
}

namespace {

sdk::Status check_cancel(const tenon_bind& bind) noexcept {
    if (bind.cancel == nullptr || __atomic_load_n(bind.cancel, __ATOMIC_RELAXED) == 0) return {};
    return sdk::fail(TENON_CANCELLED, "The cancel word was set.");
}

}  // namespace

void Worker::run_step(Work& work) noexcept {
    sdk::Status status = check_cancel(work.bind);
    if (!status.ok()) return finish(work, status);
    StepRun* step = nullptr;
    uint32_t n_segments = 0;
    for (;;) {
        uint64_t landed = 0;
        uint32_t flying = 0;
        {
            const std::lock_guard<std::mutex> lock(device_.mutex);
            landed = landed_;
            flying = in_flight_;
        }
        status = begin_step(*work.exec, work.bind, &step, &n_segments);
        if (status.ok()) break;
        if (status.code() != TENON_BUSY || flying == 0) return finish(work, status);
        std::unique_lock<std::mutex> lock(device_.mutex);
        device_.changed.wait(lock, [&] { return landed_ != landed; });
    }
    status = run_segments(work, *step, n_segments);
    if (status.ok() && n_segments != 0) return;
    {
        const std::lock_guard<std::mutex> lock(device_.mutex);
        if (work.status.ok()) work.status = status;
    }
    Flight& flight = next_flight(work);
    flight.last = true;
    flight.step = step;
    flight.step_whole = status.ok();
    push(flight);
}

sdk::Status Worker::run_segments(Work& work, StepRun& step, uint32_t n_segments) noexcept {
    for (uint32_t i = 0; i < n_segments; ++i) {
        {
            std::unique_lock<std::mutex> lock(device_.mutex);
            device_.changed.wait(lock, [&] { return work.in_flight < kSegmentsAhead; });
            if (!work.status.ok()) return work.status;
        }
        TENON_SDK_CHECK(check_cancel(work.bind));
        const StepSegment segment = step_segment(step, i);
        Flight& flight = next_flight(work);
        TENON_SDK_CHECK(device_.submit(segment.commands, segment.n_commands, &flight.value));
        flight.nodes = segment.nodes;
        flight.last = i + 1 == n_segments;
        if (flight.last) {
            flight.step = &step;
            flight.step_whole = true;
        }
        push(flight);
    }
    return {};
}

}  // namespace tenon::vulkan
