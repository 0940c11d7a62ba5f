// A driver's library with two devices, of which the second is lost.
#include <cstdint>
#include <cstdio>

#define EXPORT extern "C" __attribute__((visibility("default")))

struct Utilization {
    unsigned gpu, memory;
};
struct Memory {
    unsigned long long total, free, used;
};

EXPORT int nvmlInit_v2() { return 0; }
EXPORT int nvmlShutdown() { return 0; }
EXPORT int nvmlDeviceGetCount_v2(unsigned* count) {
    *count = 2;
    return 0;
}
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
    *device = reinterpret_cast<void*>(uintptr_t{index} + 1);
    return 0;
}
EXPORT int nvmlDeviceGetName(void*, char* name, unsigned size) {
    std::snprintf(name, size, "Fake 9000");
    return 0;
}
EXPORT int nvmlDeviceGetUtilizationRates(void* device, Utilization* out) {
    *out = {73, 10};
    return device == reinterpret_cast<void*>(uintptr_t{2}) ? 15 : 0;
}
EXPORT int nvmlDeviceGetMemoryInfo(void*, Memory* out) {
    *out = {8u << 20, 5u << 20, 3u << 20};
    return 0;
}
