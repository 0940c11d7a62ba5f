#include "tests/conformance/target.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <thread>

namespace tenon::conformance {
namespace {

void host_log(void* ctx, int32_t level, tenon_str text) {
    if (level <= TENON_LOG_ERROR) ++static_cast<Target*>(ctx)->errors_logged;
    if (level <= TENON_LOG_WARN) {
        fmt::print(stderr, "plugin: {}\n", std::string_view(text.p, text.n));
    }
}

void* host_alloc(void* ctx, size_t bytes, size_t align) {
    auto& target = *static_cast<Target*>(ctx);
    void* memory = nullptr;
    if (posix_memalign(&memory, align < sizeof(void*) ? sizeof(void*) : align, bytes) != 0) {
        return nullptr;
    }
    ++target.host_allocs;
    target.host_bytes += static_cast<int64_t>(bytes);
    return memory;
}

void host_release(void* ctx, void* memory, size_t bytes, size_t) {
    if (memory == nullptr) return;
    static_cast<Target*>(ctx)->host_bytes -= static_cast<int64_t>(bytes);
    free(memory);
}

void host_notify(void* ctx, uint64_t cookie, int32_t status) {
    auto& target = *static_cast<Target*>(ctx);
    const std::lock_guard<std::mutex> lock(target.mutex);
    target.notices.push_back({cookie, status});
}

tenon_error empty_error() {
    tenon_error error{};
    error.size = sizeof error;
    error.node = TENON_NONE;
    return error;
}

}  // namespace

Target& Target::instance() {
    static Target target;
    return target;
}

Status Target::open(const std::string& path, std::vector<host::DeviceOption> options,
                    uint64_t seed) {
    Target& t = instance();
    t.seed_ = seed;
    t.options_ = std::move(options);
    t.notices.reserve(1024);
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return Error{Code::kInvalid, dlerror()};
    const auto open_plugin =
        reinterpret_cast<tenon_plugin_open_fn>(dlsym(library, TENON_PLUGIN_OPEN_SYMBOL));
    if (open_plugin == nullptr) {
        return Error{Code::kInvalid, path + " exports no " TENON_PLUGIN_OPEN_SYMBOL};
    }
    tenon_error error = empty_error();
    const auto failed = [&](const char* what) {
        return Error{Code::kInvalid, fmt::format("{}: {}: {}", path, what, error.msg)};
    };
    if (open_plugin(TENON_ABI_REVISION, TENON_ABI_FINGERPRINT, &t.plugin_, &error) != TENON_OK) {
        return failed("open");
    }
    t.host_ = {sizeof t.host_, TENON_ABI_REVISION, &t,         host_log,
               host_alloc,     host_release,       host_notify};
    if (t.plugin_->activate(&t.host_, &error) != TENON_OK) return failed("activate");
    const auto* table =
        static_cast<const tenon_backend_table*>(t.plugin_->iface(TENON_IFACE_BACKEND));
    if (table == nullptr) return Error{Code::kInvalid, path + " has no " TENON_IFACE_BACKEND};
    t.backend_.emplace(std::string(t.plugin_->id.p, t.plugin_->id.n),
                       std::string(t.plugin_->version.p, t.plugin_->version.n), table);
    TENON_TRY(const std::vector<tenon_device_info> devices, t.backend_->enumerate());
    if (devices.empty()) return Error{Code::kUnsupported, path + " sees no device on this machine"};
    t.info_ = devices.front();
    TENON_TRY(t.device_, t.backend_->open(t.info_.uuid, t.options_));
    TENON_TRY(t.info_, t.device_.stat());
    return {};
}

uint64_t Target::close() {
    device_.reset();
    if (plugin_ != nullptr) plugin_->deactivate();
    return static_cast<uint64_t>(host_bytes.load());
}

int Target::count_notices(uint64_t cookie) {
    const std::lock_guard<std::mutex> lock(mutex);
    int count = 0;
    for (const Notice& notice : notices)
        count += notice.cookie == cookie;
    return count;
}

std::optional<int32_t> Target::wait_notice(uint64_t cookie, std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    do {
        {
            const std::lock_guard<std::mutex> lock(mutex);
            for (const Notice& notice : notices) {
                if (notice.cookie == cookie) return notice.status;
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } while (std::chrono::steady_clock::now() < end);
    return std::nullopt;
}

}  // namespace tenon::conformance
