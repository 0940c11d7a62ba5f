#include <unistd.h>

#include "null_backend.h"

namespace tenon::null_backend {
namespace {

constexpr uint8_t kUuid[16] = {'t', 'e', 'n', 'o', 'n', '-', 'n', 'u', 'l', 'l'};

void describe(tenon_device_info& info) noexcept {
    const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    info.kind = TENON_DEVICE_NULL;
    std::memcpy(info.uuid, kUuid, sizeof kUuid);
    sdk::set_text(info.name, "null");
    sdk::set_text(info.detail, "host memory; programs write zeros and take no time");
    info.memory_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * page;
    info.memory_free_bytes = static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) * page;
    info.threads = 0;
    info.flags = 0;
}

}  // namespace

sdk::Status Impl::enumerate(sdk::DeviceList& list) {
    tenon_device_info info{};
    describe(info);
    list.add(info);
    return {};
}

sdk::Status Impl::device_open(const uint8_t* uuid, sdk::Span<const tenon_option> options,
                              std::unique_ptr<Device>& device) {
    if (std::memcmp(uuid, kUuid, sizeof kUuid) != 0) {
        return sdk::fail(TENON_INVALID, "The null backend has no device with this uuid.");
    }
    sdk::OptionReader reader(options);
    TENON_SDK_CHECK(reader.finish());
    device = std::make_unique<Device>();
    return {};
}

sdk::Status Impl::device_stat(Device&, tenon_device_info& info) {
    describe(info);
    return {};
}

const void* Impl::device_ext(Device&, const char*) noexcept { return nullptr; }

}  // namespace tenon::null_backend
