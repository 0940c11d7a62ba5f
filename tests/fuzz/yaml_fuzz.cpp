// Bytes -> configuration. Oracle beside "no crash": an error has a place.
#include "core/config/yaml.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 64 * 1024) return 0;
    tenon::config::EngineConfig config;
    const tenon::Status status =
        tenon::config::read_yaml({reinterpret_cast<const char*>(data), size}, "f", config);
    if (!status.ok() && status.error().message.rfind("f:", 0) != 0) std::abort();
    return 0;
}
