#include "backends/vulkan/memory.h"

#include <algorithm>
#include <cstdio>

#include "backends/vulkan/result.h"

namespace tenon::vulkan {

struct Chunk {
    struct Hole {
        uint64_t offset, bytes;
    };
    Purpose purpose = Purpose::kScratch;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    VkBuffer buffer = VK_NULL_HANDLE;
    uint64_t bytes = 0;  // taken of the heap
    uint32_t heap = 0;
    uint8_t* mapped = nullptr;
    bool cached = false;
    uint32_t pieces = 0;      // handed out
    bool shared = false;      // of the usual size, for many pieces
    std::vector<Hole> holes;  // sorted by offset, never touching each other
};

namespace {

constexpr uint64_t kMegabyte = uint64_t{1} << 20;
constexpr uint64_t kChunkUnit = 64 * 1024;  // sizes of chunks of their own are multiples of it

uint64_t round_up(uint64_t value, uint64_t unit) noexcept {
    return (value + unit - 1) / unit * unit;
}

// Size of a chunk that many pieces share.
uint64_t chunk_bytes(Purpose purpose, uint64_t hint) noexcept {
    switch (purpose) {
        case Purpose::kWeights:
            return hint >= 1024 * kMegabyte ? 256 * kMegabyte
                   : hint >= 64 * kMegabyte ? 64 * kMegabyte
                                            : 8 * kMegabyte;
        case Purpose::kKv: return 32 * kMegabyte;
        case Purpose::kScratch: return 8 * kMegabyte;
        case Purpose::kIo: return 4 * kMegabyte;
        default: return kMegabyte;
    }
}

// A memory type's fitness for a purpose, higher is better; negative: unfit.
int rank(VkMemoryPropertyFlags flags, Purpose purpose, bool any_local) noexcept {
    constexpr VkMemoryPropertyFlags kUnknown = ~VkMemoryPropertyFlags{
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT};
    if ((flags & kUnknown) != 0) return -1;
    const bool local = (flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0;
    const bool plain = (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0 &&
                       (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0;
    const bool cached = (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
    if (purpose == Purpose::kStaging) return plain ? (cached ? 2 : 0) + (local ? 0 : 1) : -1;
    if (any_local && !local) return -1;
    // The host's window into a device may be small: it is left to what is copied each step.
    if (purpose == Purpose::kIo) return (plain ? 2 : 0) + (cached ? 1 : 0);
    return plain ? 0 : 1;
}

// Bytes that may be taken without swapping (MemAvailable); all of them where nobody says.
uint64_t host_memory_available() noexcept {
    std::FILE* file = std::fopen("/proc/meminfo", "re");
    char line[128];
    unsigned long long kib = ~0ull / 1024;
    while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr)
        if (std::sscanf(line, "MemAvailable: %llu kB", &kib) == 1) break;
    if (file != nullptr) std::fclose(file);
    return uint64_t{kib} * 1024;
}

}  // namespace

Memory& Memory::operator=(Memory&& other) noexcept {
    if (this == &other) return *this;
    reset();
    arena_ = other.arena_;
    chunk_ = other.chunk_;
    buffer_ = other.buffer_;
    offset_ = other.offset_;
    bytes_ = other.bytes_;
    mapped_ = other.mapped_;
    cached_ = other.cached_;
    other.chunk_ = nullptr;
    return *this;
}

void Memory::reset() noexcept {
    if (chunk_ != nullptr) arena_->give_back(chunk_, offset_, bytes_);
    chunk_ = nullptr;
    buffer_ = VK_NULL_HANDLE;
    mapped_ = nullptr;
    offset_ = bytes_ = 0;
}

void Arena::open(VkPhysicalDevice physical, VkDevice device, const Features& features) {
    physical_ = physical;
    device_ = device;
    features_ = &features;
    vkGetPhysicalDeviceMemoryProperties(physical, &types_);
}

Arena::Arena() = default;

Arena::~Arena() {
    for (const auto& chunk : chunks_)
        destroy(*chunk);
}

void Arena::destroy(Chunk& chunk) noexcept {
    if (chunk.buffer != VK_NULL_HANDLE) vkDestroyBuffer(device_, chunk.buffer, nullptr);
    if (chunk.memory != VK_NULL_HANDLE) {
        vkFreeMemory(device_, chunk.memory, nullptr);
        reserved_[chunk.heap] -= chunk.bytes;
    }
}

VkResult Arena::allocate(Purpose purpose, uint64_t bytes, Chunk& chunk) {
    VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    info.size = bytes;
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT;
    VkResult result = vkCreateBuffer(device_, &info, nullptr, &chunk.buffer);
    if (result != VK_SUCCESS) return result;
    VkMemoryRequirements needs{};
    vkGetBufferMemoryRequirements(device_, chunk.buffer, &needs);
    bool any_local = false;
    for (uint32_t i = 0; i < types_.memoryTypeCount; ++i)
        any_local |=
            (types_.memoryTypes[i].propertyFlags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0;

    // Fit types from the best on; the next one is tried where a heap is full.
    result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (int wanted = 3; wanted >= 0 && chunk.memory == VK_NULL_HANDLE; --wanted) {
        for (uint32_t i = 0; i < types_.memoryTypeCount; ++i) {
            const VkMemoryType& type = types_.memoryTypes[i];
            if ((needs.memoryTypeBits & (1u << i)) == 0) continue;
            if (rank(type.propertyFlags, purpose, any_local) != wanted) continue;
            const uint64_t room = types_.memoryHeaps[type.heapIndex].size;
            if (needs.size > room || reserved_[type.heapIndex] > room - needs.size) continue;
            VkMemoryAllocateInfo memory{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
            memory.allocationSize = needs.size;
            memory.memoryTypeIndex = i;
            result = vkAllocateMemory(device_, &memory, nullptr, &chunk.memory);
            if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY) continue;
            if (result != VK_SUCCESS) return result;
            chunk.bytes = needs.size;
            chunk.heap = type.heapIndex;
            chunk.cached = (type.propertyFlags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
            reserved_[chunk.heap] += chunk.bytes;
            result = vkBindBufferMemory(device_, chunk.buffer, chunk.memory, 0);
            constexpr VkMemoryPropertyFlags kPlain =
                VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
            const bool wanted_by_host = purpose == Purpose::kStaging || features_->host_sees_device;
            if (result == VK_SUCCESS && wanted_by_host && (type.propertyFlags & kPlain) == kPlain) {
                void* mapped = nullptr;
                result = vkMapMemory(device_, chunk.memory, 0, VK_WHOLE_SIZE, 0, &mapped);
                chunk.mapped = static_cast<uint8_t*>(mapped);
            }
            return result;
        }
    }
    return result;
}

sdk::Status Arena::make_chunk(Purpose purpose, uint64_t bytes, const char* what, bool shared,
                              Chunk** chunk) {
    uint64_t total = 0;
    uint64_t free_now = 0;
    stat_locked(&total, &free_now);
    const auto refuse = [&](tenon_status code, const char* why) {
        return sdk::fail(
            code, "%.80s needs %llu bytes of device memory: %s; %llu of %llu are free.", what,
            static_cast<unsigned long long>(bytes), why, static_cast<unsigned long long>(free_now),
            static_cast<unsigned long long>(total));
    };
    if (chunks_.size() >= features_->allocations_max)
        return refuse(TENON_OOM_DEVICE, "the driver allows no more allocations");
    if (features_->kind == TENON_DEVICE_CPU && bytes > host_memory_available())
        return refuse(TENON_OOM_DEVICE, "the host's memory is out");
    auto made = std::make_unique<Chunk>();
    made->purpose = purpose;
    made->shared = shared;
    chunks_.reserve(chunks_.size() + 1);
    const VkResult result = allocate(purpose, bytes, *made);
    if (result != VK_SUCCESS) {
        destroy(*made);
        return refuse(static_cast<tenon_status>(check_result(result, "vkAllocateMemory").code()),
                      result_name(result));
    }
    made->holes.push_back({0, bytes});
    *chunk = made.get();
    chunks_.push_back(std::move(made));
    return {};
}

sdk::Status Arena::take(Purpose purpose, uint64_t bytes, const char* what, Memory& memory,
                        uint64_t align, uint64_t hint) {
    memory.reset();
    const std::lock_guard<std::mutex> lock(mutex_);
    align = std::max(align, kMemoryAlign);
    if (bytes > features_->allocation_max - kMemoryAlign) {
        return sdk::fail(TENON_OOM_DEVICE,
                         "%.80s needs %llu bytes in one piece; the device allocates at most %llu.",
                         what, static_cast<unsigned long long>(bytes),
                         static_cast<unsigned long long>(features_->allocation_max));
    }
    bytes = round_up(std::max<uint64_t>(bytes, 1), kMemoryAlign);

    const auto place = [&](Chunk& chunk) -> bool {
        chunk.holes.reserve(chunk.pieces + 2);  // giving back needs no memory; before any reference
        for (size_t i = 0; i < chunk.holes.size(); ++i) {
            Chunk::Hole& hole = chunk.holes[i];
            const uint64_t at = round_up(hole.offset, align);
            if (at + bytes > hole.offset + hole.bytes) continue;
            const Chunk::Hole behind{at + bytes, hole.offset + hole.bytes - at - bytes};
            ++chunk.pieces;
            if (at != hole.offset) {
                hole.bytes = at - hole.offset;
                if (behind.bytes != 0)
                    chunk.holes.insert(chunk.holes.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                       behind);
            } else if (behind.bytes != 0) {
                hole = behind;
            } else {
                chunk.holes.erase(chunk.holes.begin() + static_cast<std::ptrdiff_t>(i));
            }
            memory.arena_ = this;
            memory.chunk_ = &chunk;
            memory.buffer_ = chunk.buffer;
            memory.offset_ = at;
            memory.bytes_ = bytes;
            memory.mapped_ = chunk.mapped == nullptr ? nullptr : chunk.mapped + at;
            memory.cached_ = chunk.cached;
            return true;
        }
        return false;
    };

    const uint64_t usual = std::min(chunk_bytes(purpose, hint), features_->allocation_max);
    // A large piece in a shared chunk would leave a hole that nothing fits.
    const bool shared = bytes <= usual / 4;
    for (const auto& chunk : chunks_)
        if (chunk->purpose == purpose && chunk->shared == shared && place(*chunk)) return {};
    Chunk* chunk = nullptr;
    const uint64_t own = std::min(round_up(bytes, kChunkUnit), features_->allocation_max);
    if (shared) {
        // Where the usual size is too much, the piece alone may fit.
        if (make_chunk(purpose, usual, what, true, &chunk).ok() && place(*chunk)) return {};
    }
    TENON_SDK_CHECK(make_chunk(purpose, own, what, false, &chunk));
    if (place(*chunk)) return {};
    return sdk::fail(TENON_INTERNAL, "%.80s does not fit its own chunk.", what);
}

void Arena::give_back(Chunk* chunk, uint64_t offset, uint64_t bytes) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    --chunk->pieces;
    auto& holes = chunk->holes;
    size_t i = 0;
    while (i < holes.size() && holes[i].offset < offset)
        ++i;
    const bool joins_before = i > 0 && holes[i - 1].offset + holes[i - 1].bytes == offset;
    const bool joins_behind = i < holes.size() && offset + bytes == holes[i].offset;
    if (joins_before && joins_behind) {
        holes[i - 1].bytes += bytes + holes[i].bytes;
        holes.erase(holes.begin() + static_cast<std::ptrdiff_t>(i));
    } else if (joins_before) {
        holes[i - 1].bytes += bytes;
    } else if (joins_behind) {
        holes[i].offset = offset;
        holes[i].bytes += bytes;
    } else {
        holes.insert(holes.begin() + static_cast<std::ptrdiff_t>(i), {offset, bytes});
    }
    if (chunk->pieces != 0) return;
    // One empty chunk of small pieces stays: the next one is near.
    bool spare = !chunk->shared;
    for (const auto& other : chunks_)
        spare |= other.get() != chunk && other->shared && other->purpose == chunk->purpose &&
                 other->pieces == 0;
    if (!spare) return;
    for (size_t c = 0; c < chunks_.size(); ++c) {
        if (chunks_[c].get() != chunk) continue;
        destroy(*chunk);
        chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(c));
        return;
    }
}

uint64_t Arena::bytes_reserved() const noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    uint64_t sum = 0;
    for (const uint64_t bytes : reserved_)
        sum += bytes;
    return sum;
}

void Arena::stat(uint64_t* total, uint64_t* free_now) const noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    stat_locked(total, free_now);
}

void Arena::stat_locked(uint64_t* total, uint64_t* free_now) const noexcept {
    memory_stat(physical_, *features_, reserved_, total, free_now);
}

void memory_stat(VkPhysicalDevice physical, const Features& features, const uint64_t* reserved,
                 uint64_t* total, uint64_t* free_now) noexcept {
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 properties{
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    if (features.memory_budget) properties.pNext = &budget;
    vkGetPhysicalDeviceMemoryProperties2(physical, &properties);
    const VkPhysicalDeviceMemoryProperties& memory = properties.memoryProperties;
    *total = 0;
    *free_now = 0;
    for (uint32_t i = 0; i < memory.memoryHeapCount; ++i) {
        if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) == 0) continue;
        const uint64_t size = memory.memoryHeaps[i].size;
        const uint64_t limit = features.memory_budget ? budget.heapBudget[i] : size;
        const uint64_t used = features.memory_budget ? budget.heapUsage[i]
                              : reserved == nullptr  ? 0
                                                     : reserved[i];
        *total += size;
        *free_now += limit > used ? limit - used : 0;
    }
    if (features.kind == TENON_DEVICE_CPU) *free_now = std::min(*free_now, host_memory_available());
}

}  // namespace tenon::vulkan
