#include "null_backend.h"

namespace {

namespace sdk = tenon::sdk;

sdk::Status activate(const tenon_host&) { return {}; }
void deactivate() {}
const void* iface(const char* id) {
    return sdk::same(id, TENON_IFACE_BACKEND) ? tenon::null_backend::Handles::table() : nullptr;
}

}  // namespace

TENON_PLUGIN("null", "0.1.0", activate, deactivate, iface)
