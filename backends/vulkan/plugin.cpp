#include "backends/vulkan/exec.h"  // Backend<Impl> deletes every type

namespace {

namespace sdk = tenon::sdk;

sdk::Status activate(const tenon_host&) { return {}; }
void deactivate() {}
const void* iface(const char* id) {
    return sdk::same(id, TENON_IFACE_BACKEND) ? tenon::vulkan::Handles::table() : nullptr;
}

}  // namespace

TENON_PLUGIN("vulkan", "0.1.0", activate, deactivate, iface)
