// Device memory: large VkDeviceMemory chunks, each bound whole to one VkBuffer, handed out in pieces.
//
// A chunk serves one purpose. Pieces start at multiples of 256 bytes, so that each may be a storage
// binding. A piece that outgrows a chunk gets its own; nothing is larger than Features::allocation_max.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include <tenon/plugin.hpp>

#include "backends/vulkan/features.h"

namespace tenon::vulkan {

constexpr uint64_t kMemoryAlign = 256;

enum class Purpose : uint32_t {
    kWeights,  // device-local; written once by copies
    kKv,       // device-local
    kScratch,  // device-local; temporaries, step buffers
    kIo,       // device-local, host-visible where such memory is plain
    kStaging,  // host-visible, coherent, cached where there is such memory
    kCount
};

class Arena;
struct Chunk;

// Owns a piece of a chunk; move-only. Empty by default.
class Memory {
public:
    Memory() = default;
    Memory(Memory&& other) noexcept { *this = std::move(other); }
    Memory& operator=(Memory&& other) noexcept;
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    ~Memory() { reset(); }

    void reset() noexcept;
    explicit operator bool() const noexcept { return chunk_ != nullptr; }
    VkBuffer buffer() const noexcept { return buffer_; }
    uint64_t offset() const noexcept { return offset_; }  // in buffer(), a multiple of 256
    uint64_t bytes() const noexcept { return bytes_; }    // as asked for, rounded up to 256
    uint8_t* mapped() const noexcept { return mapped_; }  // first byte for the host, or null
    bool cached() const noexcept { return cached_; }      // reading through mapped() is fast

private:
    friend class Arena;
    Arena* arena_ = nullptr;
    Chunk* chunk_ = nullptr;
    VkBuffer buffer_ = VK_NULL_HANDLE;
    uint64_t offset_ = 0, bytes_ = 0;
    uint8_t* mapped_ = nullptr;
    bool cached_ = false;
};

// Any thread. Outlives its regions.
class Arena {
public:
    Arena();
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    void open(VkPhysicalDevice physical, VkDevice device, const Features& features);

    // Memory with unknown content. `align` is a power of two, raised to 256. `hint`: bytes that will be
    // wanted for this purpose in all, sizes the next chunk. OOM_DEVICE says what did not fit, where
    // `what` names it ("a buffer", "weight blk.0.attn_q").
    sdk::Status take(Purpose purpose, uint64_t bytes, const char* what, Memory& memory,
                     uint64_t align = kMemoryAlign, uint64_t hint = 0);

    uint64_t bytes_reserved() const noexcept;  // of all chunks
    // See memory_stat.
    void stat(uint64_t* total, uint64_t* free_now) const noexcept;

private:
    friend class Memory;
    void give_back(Chunk* chunk, uint64_t offset, uint64_t bytes) noexcept;
    // With the mutex held, as are the next two.
    void stat_locked(uint64_t* total, uint64_t* free_now) const noexcept;
    sdk::Status make_chunk(Purpose purpose, uint64_t bytes, const char* what, bool shared,
                           Chunk** chunk);
    VkResult allocate(Purpose purpose, uint64_t bytes, Chunk& chunk);
    void destroy(Chunk& chunk) noexcept;

    VkPhysicalDevice physical_ = VK_NULL_HANDLE;
    VkDevice device_ = VK_NULL_HANDLE;
    const Features* features_ = nullptr;
    VkPhysicalDeviceMemoryProperties types_{};
    mutable std::mutex mutex_;  // guards what follows
    std::vector<std::unique_ptr<Chunk>> chunks_;
    uint64_t reserved_[VK_MAX_MEMORY_HEAPS] = {};
};

// Bytes of the device-local heaps, and those that are free: by VK_EXT_memory_budget where present, else
// what `reserved` (of each heap; may be null) leaves, of a processor at most what the host has.
void memory_stat(VkPhysicalDevice physical, const Features& features, const uint64_t* reserved,
                 uint64_t* total, uint64_t* free_now) noexcept;

}  // namespace tenon::vulkan
