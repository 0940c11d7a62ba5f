// The two threads of a device. The worker takes work whose waits are reached, or will be by what is on
// the VkQueue already, and submits it in pieces ("flights"), each followed by a full barrier. The reaper
// waits for flights in their order, hands what they read to the host, and ends their work: raises its
// timelines, or fails them.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <thread>

#include "backends/vulkan/vulkan_backend.h"

namespace tenon::vulkan {

constexpr uint32_t kFlightsMax = 8;     // on the VkQueue at once
constexpr uint32_t kSegmentsAhead = 2;  // of one step
constexpr uint32_t kHostReadsMax = 16;  // of one flight
constexpr uint64_t kStagingBytes = uint64_t{8} << 20;
constexpr uint64_t kStagingPieceMax = kStagingBytes / 4;

// Rows that lie one behind the other in staging memory and go to the host when their flight has landed.
struct HostRead {
    const uint8_t* from;
    uint8_t* to;
    uint64_t row_bytes, rows, pitch;
};

// One submission. Fixed storage.
struct Flight {
    Work* work = nullptr;
    uint64_t value = 0;       // of Device::submit; 0: nothing was submitted
    bool last = false;        // of its work
    StepRun* step = nullptr;  // to be finished when this has landed
    bool step_whole = false;  // all segments of it were submitted
    uint32_t nodes = 0;       // finished with it
    uint64_t staging_end = 0;
    uint32_t n_reads = 0;
    HostRead reads[kHostReadsMax];
    VkCommandPool pool = VK_NULL_HANDLE;
    VkCommandBuffer commands = VK_NULL_HANDLE;  // of copies and moves
};

// Staging memory in ring order: taken by the worker, free again when the flight that used it has landed.
// Guarded by the device's mutex.
class StagingRing {
public:
    sdk::Status open(Device& device);
    // Offset of `bytes` within memory(), at most kStagingPieceMax; false when they are not free now.
    bool take(uint64_t bytes, uint64_t* offset) noexcept;
    uint64_t head() const noexcept { return head_; }
    void free_until(uint64_t position) noexcept { tail_ = position; }
    const Memory& memory() const noexcept { return memory_; }

private:
    Memory memory_;
    uint64_t head_ = 0, tail_ = 0;  // positions that only grow; modulo kStagingBytes in the memory
};

class Worker {
public:
    explicit Worker(Device& device) : device_(device) {}
    ~Worker();
    // Makes command buffers and staging memory and starts the threads.
    sdk::Status start();
    // Ends the threads. All queues are closed.
    void stop() noexcept;

private:
    // What was touched since the last barrier of the flight being filled.
    struct Touched {
        const void* what;  // a buffer's memory or a KV pool
        uint64_t begin, end;
        bool written;
    };

    // Bytes in a VkBuffer.
    struct Place {
        VkBuffer buffer;
        uint64_t offset;
    };

    void work_loop() noexcept;
    void reap_loop() noexcept;
    // With the mutex held: the first work that may start, or null. *failed is what its waits failed
    // with, or OK.
    Work* find_ready(sdk::Status* failed) noexcept;

    // Record copies and moves and submit them; the last flight may be left open.
    sdk::Status run_copies(Work& work) noexcept;
    sdk::Status run_moves(Work& work) noexcept;
    // Submits a step and its end. When this returns the work may be another one already.
    void run_step(Work& work) noexcept;
    sdk::Status run_segments(Work& work, StepRun& step, uint32_t n_segments) noexcept;
    // Without the device, where nothing is in flight and the host sees all memory; else false.
    bool copy_at_once(const Work& work) noexcept;
    bool move_at_once(const Work& work) noexcept;
    bool idle() noexcept;
    void wait_idle() noexcept;

    sdk::Status copy_within(Work& work, const tenon_copy& copy) noexcept;
    sdk::Status copy_overlapping(Work& work, const tenon_copy& copy) noexcept;
    sdk::Status copy_on_host(Work& work, const tenon_copy& copy) noexcept;
    sdk::Status copy_staged(Work& work, const tenon_copy& copy) noexcept;
    sdk::Status stage(Work& work, const tenon_copy& copy, uint64_t row, uint64_t rows, uint64_t col,
                      uint64_t cols) noexcept;
    sdk::Status wait_for_reads(Work& work, const uint8_t* begin, const uint8_t* end) noexcept;
    // Rows between two places, in batches of regions. A flight is open.
    void record_rows(Place src, uint64_t src_pitch, Place dst, uint64_t dst_pitch,
                     uint64_t row_bytes, uint64_t rows) noexcept;
    // Says what the next command touches, at most two ranges, behind a barrier if it must not overtake
    // what came before.
    void touch(std::initializer_list<Touched> ranges) noexcept;
    void barrier() noexcept;

    // Begins the commands of a flight unless one is open.
    sdk::Status open_flight(Work& work) noexcept;
    sdk::Status take_staging(Work& work, uint64_t bytes, uint64_t* offset) noexcept;
    // Submits the open flight, if there is one.
    sdk::Status send(Work& work, bool last) noexcept;
    // A flight that is not in use, cleared; blocks until there is one.
    Flight& next_flight(Work& work) noexcept;
    void push(Flight& flight) noexcept;
    // Sends what is open, and the end of the work with it, which may be another one then.
    void finish(Work& work, const sdk::Status& status) noexcept;
    void land(Flight& flight) noexcept;
    // With the mutex held.
    void complete(Work& work) noexcept;

    Device& device_;
    StagingRing staging_;
    std::array<Flight, kFlightsMax> flights_;
    // The worker's own.
    Flight* open_ = nullptr;
    std::array<Touched, 48> touched_;
    uint32_t n_touched_ = 0;
    // Guarded by the device's mutex.
    uint32_t first_ = 0, in_flight_ = 0;
    uint64_t landed_ = 0;  // flights since the start
    uint32_t next_queue_ = 0;
    bool closing_ = false;
    std::thread worker_, reaper_;
};

}  // namespace tenon::vulkan
