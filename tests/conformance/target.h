// The plugin binary under test: loaded once, opened once, used by every case.
#pragma once

#include <tenon/abi.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/host/backend.h"

namespace tenon::conformance {

// Lives for the process, as the plugin does. Single-threaded but for the host table's functions.
class Target {
public:
    // Loads the plugin at `path` without any trust check and opens its first device.
    static Status open(const std::string& path, std::vector<host::DeviceOption> options,
                       uint64_t seed);
    static Target& instance();

    const host::Backend& backend() const { return *backend_; }
    const host::Device& device() const { return device_; }
    const tenon_backend_table& table() const { return *backend_->table(); }
    const tenon_device_info& info() const { return info_; }
    const std::vector<host::DeviceOption>& options() const { return options_; }
    uint64_t seed() const { return seed_; }
    // False for a device that does nothing: everything runs, results are not compared.
    bool computes() const { return info_.kind != TENON_DEVICE_NULL; }

    // Closes the device and deactivates the plugin; the bytes that it still holds of the host's
    // memory.
    uint64_t close();

    // Status of the notice with this cookie; nullopt when none came within the time.
    std::optional<int32_t> wait_notice(uint64_t cookie, std::chrono::milliseconds time);
    // How often this cookie was notified.
    int count_notices(uint64_t cookie);

    struct Notice {
        uint64_t cookie;
        int32_t status;
    };
    std::mutex mutex;
    std::vector<Notice> notices;           // guarded by mutex
    std::atomic<uint64_t> host_allocs{0};  // calls of host.alloc
    std::atomic<int64_t> host_bytes{0};    // held through host.alloc
    std::atomic<uint64_t> errors_logged{0};

private:
    std::optional<host::Backend> backend_;
    host::Device device_;
    tenon_device_info info_{};
    tenon_host host_{};
    const tenon_plugin_table* plugin_ = nullptr;
    std::vector<host::DeviceOption> options_;
    uint64_t seed_ = 0;
};

}  // namespace tenon::conformance
