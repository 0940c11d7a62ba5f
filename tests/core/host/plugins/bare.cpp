// Files that no plugin may be, built without tenon_plugin(): no note, or more than one export.
#include <tenon/plugin.hpp>

#if defined(TENON_TEST_NOTE)
namespace {
TENON_PLUGIN_NOTE_(TENON_TEST_ID)
}  // namespace
#endif

#define EXPORT extern "C" __attribute__((visibility("default")))

#if !defined(TENON_TEST_NO_EXPORT)
EXPORT int32_t tenon_plugin_open_v0(uint32_t, uint64_t, const tenon_plugin_table**, tenon_error*) {
    return TENON_INTERNAL;
}
#endif
#if defined(TENON_TEST_SECOND_EXPORT)
EXPORT int another_entry() { return 0; }
#endif
