// The driver's compiled pipelines in a file. Checked before a driver sees a byte of it, and worth
// nothing but time: whoever deletes, damages or swaps the file costs a compilation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::vulkan {

// Whose pipelines the bytes are; a driver is only given what the same one wrote on the same device.
struct CacheOwner {
    uint32_t vendor = 0;
    uint32_t device = 0;
    uint32_t driver_version = 0;
    uint8_t cache_uuid[16] = {};  // pipelineCacheUUID
    uint8_t driver_uuid[16] = {};
};

enum class CacheState {
    kUsed,
    kAbsent,   // or not for us to open
    kForeign,  // whole, and of another device, driver or version of this format
    kDamaged,  // no regular file, cut, longer than it says, or with bytes that changed
};

// The driver's bytes, empty unless kUsed.
CacheState read_cache(const std::string& path, const CacheOwner& owner,
                      std::vector<uint8_t>& bytes);

// Puts the bytes in the place of the file in one step: a reader, or a process that is killed, sees the
// old file or the new one. While another process writes it, nothing is done, which is no failure. False
// with the reason in errno when the file could not be written; the old one then stays.
bool write_cache(const std::string& path, const CacheOwner& owner,
                 const std::vector<uint8_t>& bytes);

}  // namespace tenon::vulkan
