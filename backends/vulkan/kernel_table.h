// Which shader variant a device runs, picked once when it opens.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <tenon/plugin.hpp>

#include "shaders/shader_list.h"

namespace tenon::vulkan {

namespace sdk = tenon::sdk;

// The variants of each family that a device can run, in the order of variants.yaml: the first one
// that serves a purpose is taken. Names begin with their purpose: "gather", "gather_subgroup".
class KernelTable {
public:
    // `has` is what the device has of shaders::Requires, `shared_bytes` its workgroup memory. `force`
    // is empty or "family:name[,family:name...]": that variant goes first. INVALID when there is no
    // such variant, or the device lacks what it needs.
    sdk::Status open(uint32_t has, uint32_t shared_bytes, std::string_view force);

    // The first variant of the family whose name is `purpose` or begins with it and '_'; null when
    // the device runs none.
    const shaders::ShaderVariant* find(std::string_view family,
                                       std::string_view purpose) const noexcept;

    // The variant of that name; null when the device cannot run it.
    const shaders::ShaderVariant* named(std::string_view family,
                                        std::string_view name) const noexcept;
    // The variant that force_variant names for the family, or null.
    const shaders::ShaderVariant* forced(std::string_view family) const noexcept;

private:
    size_t n_forced_ = 0;  // of usable_, in front
    std::vector<const shaders::ShaderVariant*> usable_;
};

}  // namespace tenon::vulkan
