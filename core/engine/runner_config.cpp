#include "core/engine/runner_config.h"

#include "core/engine/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace tenon::engine {

namespace {

struct KvName {
    const char* name;
    tenon_dtype dtype;
};

constexpr KvName kKvNames[] = {
    {"f16", TENON_F16},          {"f32", TENON_F32},          {"bf16", TENON_BF16},
    {"fp8_e4m3", TENON_F8_E4M3}, {"fp8_e5m2", TENON_F8_E5M2}, {"int8", TENON_I8},
};

}  // namespace

Result<RunnerOptions> configure(const config::EngineConfig& config, RunnerOptions options) {
    options.context_length = config.context_length;
    options.compute = config.compute == "precise" ? TENON_COMPUTE_PRECISE : TENON_COMPUTE_FAST;
    options.deterministic = config.deterministic;
    TENON_TRY(options.fallback, host::parse_fallback(config.fallback));
    options.open_second = [config](const tenon_device_info& first) -> Result<SecondDevice> {
        TENON_TRY(OpenedDevice opened, open_second_device(config, first));
        return SecondDevice{std::move(opened.device), std::move(opened.backend)};
    };
    if (config.kv_cache_dtype == "auto") {
        options.kv_dtype = config.compute == "precise" ? TENON_F32 : TENON_F16;
        return options;
    }
    const auto* found =
        std::find_if(std::begin(kKvNames), std::end(kKvNames),
                     [&](const KvName& known) { return config.kv_cache_dtype == known.name; });
    if (found == std::end(kKvNames)) {
        return Error{Code::kConfig,
                     fmt::format("kv_cache_dtype '{}' is not known", config.kv_cache_dtype)};
    }
    options.kv_dtype = found->dtype;
    return options;
}

}  // namespace tenon::engine
