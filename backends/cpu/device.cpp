#include <sched.h>
#include <unistd.h>

#include <cstdio>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/exec.h"

namespace tenon::cpu {
namespace {

constexpr uint8_t kUuid[16] = {'t', 'e', 'n', 'o', 'n', '-', 'c', 'p', 'u'};
constexpr uint32_t kThreadsMax = 256;

// Processors that this process may use.
uint32_t usable_processors() noexcept {
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 1;
    const int count = CPU_COUNT(&mask);
    return count < 1 ? 1 : static_cast<uint32_t>(count);
}

void processor_name(char (&name)[96]) noexcept {
    sdk::set_text(name, "processor");
    std::FILE* file = std::fopen("/proc/cpuinfo", "re");
    if (file == nullptr) return;
    char line[256];
    while (std::fgets(line, sizeof line, file) != nullptr) {
        if (std::strncmp(line, "model name", 10) != 0) continue;
        const char* colon = std::strchr(line, ':');
        if (colon == nullptr) break;
        std::string_view text(colon + 1);
        while (!text.empty() && text.front() == ' ')
            text.remove_prefix(1);
        while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
            text.remove_suffix(1);
        sdk::set_text(name, text);
        break;
    }
    std::fclose(file);
}

}  // namespace

uint64_t available_memory() noexcept {
    std::FILE* file = std::fopen("/proc/meminfo", "re");
    char line[128];
    unsigned long long kib = 0;
    while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr)
        if (std::sscanf(line, "MemAvailable: %llu kB", &kib) == 1) break;
    if (file != nullptr) std::fclose(file);
    if (kib != 0) return uint64_t{kib} * 1024;
    return static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) *
           static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

namespace {

void describe(tenon_device_info& info, kernels::Isa isa, const char* why,
              uint32_t threads) noexcept {
    const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    info.kind = TENON_DEVICE_CPU;
    std::memcpy(info.uuid, kUuid, sizeof kUuid);
    processor_name(info.name);
    std::snprintf(info.detail, sizeof info.detail, "kernels %s (%s), %u threads",
                  kernels::isa_name(isa), why, threads);
    info.memory_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * page;
    info.memory_free_bytes = available_memory();
    info.threads = threads;
    info.flags = 0;
}

const char* reason(kernels::Isa isa) noexcept {
    return isa == kernels::best_isa() ? "best of this processor" : "forced";
}

}  // namespace

sdk::Status Impl::enumerate(sdk::DeviceList& list) {
    tenon_device_info info{};
    describe(info, kernels::best_isa(), reason(kernels::best_isa()), usable_processors());
    list.add(info);
    return {};
}

sdk::Status Impl::device_open(const uint8_t* uuid, sdk::Span<const tenon_option> options,
                              std::unique_ptr<Device>& device) {
    if (std::memcmp(uuid, kUuid, sizeof kUuid) != 0) {
        return sdk::fail(TENON_INVALID, "The cpu backend has no device with this uuid.");
    }
    uint32_t threads = 0;
    uint32_t spin_us = 50;
    bool pin = false;
    std::string isa_text;
    sdk::OptionReader reader(options);
    reader.integer("threads", &threads, 0, kThreadsMax);
    reader.integer("spin_us", &spin_us, 0, 1000);
    reader.boolean("pin", &pin);
    reader.text("force_isa", &isa_text);
    TENON_SDK_CHECK(reader.finish());

    kernels::Isa isa = kernels::best_isa();
    if (!isa_text.empty()) {
        if (!kernels::find_isa(isa_text.data(), isa_text.size(), &isa)) {
            return sdk::fail(TENON_INVALID, "Option 'force_isa' is '%.32s', wanted %s.",
                             isa_text.c_str(), kernels::isa_names());
        }
        if (isa > kernels::best_isa()) {
            return sdk::fail(TENON_UNSUPPORTED,
                             "Option 'force_isa' is '%s', but this processor runs at most %s.",
                             isa_text.c_str(), kernels::isa_name(kernels::best_isa()));
        }
    }
    if (threads == 0) threads = usable_processors();
    // Pinning two programs to one processor halves both: only where every processor is ours.
    const bool whole_machine = threads == usable_processors() &&
                               static_cast<long>(threads) == sysconf(_SC_NPROCESSORS_ONLN);
    auto made = std::make_unique<Device>();
    made->kernels = pick_kernels(isa);
    made->pool = std::make_unique<ThreadPool>(threads, spin_us, pin && whole_machine);
    device = std::move(made);
    return {};
}

sdk::Status Impl::device_stat(Device& device, tenon_device_info& info) {
    describe(info, device.kernels.isa, reason(device.kernels.isa), device.pool->threads());
    return {};
}

Device::~Device() {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        closing = true;
    }
    changed.notify_all();
    if (driver.joinable()) driver.join();
}

void Device::run_aside(Job& job) noexcept {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return !running; });
    running = true;
    lock.unlock();
    pool->run(job, 1);
    lock.lock();
    running = false;
    lock.unlock();
    changed.notify_all();
}

}  // namespace tenon::cpu
