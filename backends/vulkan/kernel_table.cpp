#include "backends/vulkan/kernel_table.h"

#include <algorithm>

namespace tenon::vulkan {

sdk::Status KernelTable::open(uint32_t has, uint32_t shared_bytes, std::string_view force) {
    usable_.clear();
    n_forced_ = 0;
    uint32_t count = 0;
    const shaders::ShaderVariant* all = shaders::shader_list(&count);
    for (uint32_t i = 0; i < count; ++i)
        if ((all[i].requires_bits & ~has) == 0 && all[i].shared_bytes <= shared_bytes)
            usable_.push_back(&all[i]);
    while (!force.empty()) {
        const size_t comma = force.find(',');
        const std::string_view one = force.substr(0, comma);
        force = comma == std::string_view::npos ? std::string_view() : force.substr(comma + 1);
        const size_t colon = one.find(':');
        const auto named = [&](const shaders::ShaderVariant* v) {
            return colon != std::string_view::npos && one.substr(0, colon) == v->family &&
                   one.substr(colon + 1) == v->name;
        };
        const auto at = std::find_if(usable_.begin() + static_cast<std::ptrdiff_t>(n_forced_),
                                     usable_.end(), named);
        if (at == usable_.end())
            return sdk::fail(
                TENON_INVALID,
                "force_variant names '%.*s'; wanted is family:name of a variant that this "
                "device can run.",
                static_cast<int>(std::min<size_t>(one.size(), 80)), one.data());
        std::rotate(usable_.begin() + static_cast<std::ptrdiff_t>(n_forced_), at, at + 1);
        ++n_forced_;
    }
    return {};
}

const shaders::ShaderVariant* KernelTable::find(std::string_view family,
                                                std::string_view purpose) const noexcept {
    for (const shaders::ShaderVariant* variant : usable_) {
        const std::string_view name = variant->name;
        if (family == variant->family && name.substr(0, purpose.size()) == purpose &&
            (name.size() == purpose.size() || name[purpose.size()] == '_'))
            return variant;
    }
    return nullptr;
}

const shaders::ShaderVariant* KernelTable::named(std::string_view family,
                                                 std::string_view name) const noexcept {
    for (const shaders::ShaderVariant* variant : usable_)
        if (family == variant->family && name == variant->name) return variant;
    return nullptr;
}

const shaders::ShaderVariant* KernelTable::forced(std::string_view family) const noexcept {
    for (size_t i = 0; i < n_forced_; ++i)
        if (family == usable_[i]->family) return usable_[i];
    return nullptr;
}

}  // namespace tenon::vulkan
