#include "core/host/nvml.h"

#include <dlfcn.h>

namespace tenon::host {

namespace {

// Of nvml.h, which the driver does not install: 0 is success.
constexpr int kSuccess = 0;
constexpr unsigned kNameBytes = 96;

struct Utilization {
    unsigned gpu, memory;  // percent
};
struct Memory {
    unsigned long long total, free, used;
};

template <class Function>
bool find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
}

}  // namespace

struct Nvml::Impl {
    void* library = nullptr;
    int (*init)() = nullptr;
    int (*shutdown)() = nullptr;
    int (*count)(unsigned*) = nullptr;
    int (*handle)(unsigned, void**) = nullptr;
    int (*name)(void*, char*, unsigned) = nullptr;
    int (*utilization)(void*, Utilization*) = nullptr;
    int (*memory)(void*, Memory*) = nullptr;
    bool is_started = false;

    ~Impl() {
        if (is_started) shutdown();
        if (library != nullptr) dlclose(library);
    }
};

Nvml::Nvml(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Nvml::~Nvml() = default;

std::unique_ptr<Nvml> Nvml::open(const char* library) {
    auto impl = std::make_unique<Impl>();
    impl->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    void* const from = impl->library;
    if (from == nullptr || !find(from, "nvmlInit_v2", impl->init) ||
        !find(from, "nvmlShutdown", impl->shutdown) ||
        !find(from, "nvmlDeviceGetCount_v2", impl->count) ||
        !find(from, "nvmlDeviceGetHandleByIndex_v2", impl->handle) ||
        !find(from, "nvmlDeviceGetName", impl->name) ||
        !find(from, "nvmlDeviceGetUtilizationRates", impl->utilization) ||
        !find(from, "nvmlDeviceGetMemoryInfo", impl->memory)) {
        return nullptr;
    }
    impl->is_started = impl->init() == kSuccess;
    unsigned devices = 0;
    if (!impl->is_started || impl->count(&devices) != kSuccess || devices == 0) return nullptr;
    return std::unique_ptr<Nvml>(new Nvml(std::move(impl)));
}

std::vector<NvmlDevice> Nvml::read() {
    std::vector<NvmlDevice> devices;
    unsigned count = 0;
    if (impl_->count(&count) != kSuccess) return devices;
    for (unsigned i = 0; i < count; ++i) {
        void* handle = nullptr;
        Utilization utilization{};
        Memory memory{};
        if (impl_->handle(i, &handle) != kSuccess ||
            impl_->utilization(handle, &utilization) != kSuccess ||
            impl_->memory(handle, &memory) != kSuccess) {
            continue;
        }
        char name[kNameBytes] = "";
        if (impl_->name(handle, name, kNameBytes - 1) != kSuccess) name[0] = '\0';
        devices.push_back({name, utilization.gpu / 100.0, memory.used, memory.total});
    }
    return devices;
}

}  // namespace tenon::host
