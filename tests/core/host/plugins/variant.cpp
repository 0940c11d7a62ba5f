// One source for the plugins that the host must take or refuse; TENON_TEST_<VARIANT> picks.
#include <stdexcept>

#include "minimal_backend.h"

namespace {

namespace sdk = tenon::sdk;

[[maybe_unused]] sdk::Status activate(const tenon_host&) {
#if defined(TENON_TEST_THROWS)
    throw std::runtime_error("the driver is on fire");
#elif defined(TENON_TEST_DECLINES)
    return sdk::fail(TENON_UNSUPPORTED, "The driver is 1.0, wanted 2.0.");
#else
    return {};
#endif
}

[[maybe_unused]] void deactivate() {}

[[maybe_unused]] const void* iface(const char* id) {
    if (!sdk::same(id, TENON_IFACE_BACKEND)) return nullptr;
#if defined(TENON_TEST_NULL_SLOT)
    static tenon_backend_table table = *sdk::Backend<minimal::Impl>::table();
    table.submit = nullptr;
    return &table;
#elif defined(TENON_TEST_SHORT_TABLE)
    static tenon_backend_table table = *sdk::Backend<minimal::Impl>::table();
    table.size = sizeof table - sizeof(void*);
    return &table;
#elif defined(TENON_TEST_NO_BACKEND)
    return nullptr;
#else
    return sdk::Backend<minimal::Impl>::table();
#endif
}

}  // namespace

#if defined(TENON_TEST_OPEN_THROWS)
namespace {
TENON_PLUGIN_NOTE_(TENON_TEST_ID)
}  // namespace
extern "C" __attribute__((visibility("default"))) int32_t tenon_plugin_open_v0(
    uint32_t, uint64_t, const tenon_plugin_table**, tenon_error*) {
    throw std::runtime_error("no trampoline here");
}
#elif defined(TENON_TEST_OTHER_VERSION)
TENON_PLUGIN(TENON_TEST_ID, "9.9.9", activate, deactivate, iface)
#else
TENON_PLUGIN(TENON_TEST_ID, "1.0.0", activate, deactivate, iface)
#endif
#if defined(TENON_TEST_CONSTRUCTOR_THROWS)
namespace {
const int thrown = []() -> int { throw std::runtime_error("out of a constructor"); }();
}  // namespace
#endif
#if defined(TENON_TEST_CRASHES)
namespace {
const int crashed = [] {
    __builtin_trap();
    return 0;
}();
}  // namespace
#endif
