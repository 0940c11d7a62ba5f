// How busy NVIDIA devices are, as their driver's library says.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tenon::host {

struct NvmlDevice {
    std::string name;
    double utilization = 0;  // share of the last sample period in which a kernel ran, 0..1
    uint64_t memory_used = 0, memory_total = 0;
};

// Thread-compatible: one call at a time.
class Nvml {
public:
    // Null where the driver or a device is missing. `library` stands in for the driver's in tests.
    static std::unique_ptr<Nvml> open(const char* library = "libnvidia-ml.so.1");
    ~Nvml();

    // Devices that answer now.
    std::vector<NvmlDevice> read();

private:
    struct Impl;
    explicit Nvml(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::host
