// The interface of <tenon/ext_weight_kernels.h>.
#include <cstdio>

#include <tenon/ext_weight_kernels.h>

#include "backends/vulkan/exec.h"

namespace tenon::vulkan {
namespace {

constexpr size_t kLayoutText = 64;

const char* class_name(PackedClass cls) noexcept {
    switch (cls) {
        case PackedClass::kFloat32: return "f32";
        case PackedClass::kFloat16: return "f16";
        case PackedClass::kBfloat16: return "bf16";
        case PackedClass::kCodes: break;
    }
    return "codes";
}

const char* scale_name(ScaleMode mode) noexcept {
    return mode == ScaleMode::kFloat16 ? "f16" : mode == ScaleMode::kExponent ? "e8m0" : "f32";
}

// "4-bit codes, f16 scale and min per 32", or "4-bit codes, 8-bit scale and min per 32, f16 per 256"
void describe(const PackedLayout& layout, char (&text)[kLayoutText]) noexcept {
    if (layout.cls != PackedClass::kCodes) {
        std::snprintf(text, sizeof text, "%s", class_name(layout.cls));
        return;
    }
    const uint32_t bits = layout.lo_bits + layout.hi_bits;
    const char* codes = layout.has_lut ? "levels" : "codes";
    const char* min = layout.has_min ? " and min" : "";
    if (layout.outer == 0) {
        std::snprintf(text, sizeof text, "%u-bit %s, %s scale%s per %u", bits, codes,
                      scale_name(layout.scale_mode), min, layout.group);
    } else {
        std::snprintf(text, sizeof text, "%u-bit %s, %u-bit scale%s per %u, %s per %u", bits, codes,
                      layout.scale_bits, min, layout.group, scale_name(layout.scale_mode),
                      layout.outer);
    }
}

const char* name_of(const shaders::ShaderVariant* variant) noexcept {
    return variant == nullptr ? "none" : variant->name;
}

// Shaders for few and for many tokens.
void name_matmul(const Device& device, const char* layout, char* text, uint32_t capacity) noexcept {
    const shaders::ShaderVariant* few = matmul_variant(device, 1);
    const shaders::ShaderVariant* many = matmul_variant(device, INT64_MAX);
    if (few == many) {
        std::snprintf(text, capacity, "%s, matmul:%s", layout, name_of(few));
    } else {
        std::snprintf(text, capacity, "%s, matmul:%s and :%s", layout, name_of(few), name_of(many));
    }
}

int32_t name_kernel(tenon_weights* handle, uint32_t entry, uint32_t use, uint32_t, char* text,
                    uint32_t capacity) noexcept {
    if (handle == nullptr || text == nullptr || capacity == 0) return TENON_INVALID;
    const Weights& weights = *Handles::get(handle);
    if (!weights.finished || entry >= weights.entries.size()) return TENON_INVALID;
    const WeightEntry& weight = weights.entries[entry];
    if (use == 0 || (weight.uses & use) != use) return TENON_INVALID;
    const KernelTable& kernels = weights.device->kernels;
    char layout[kLayoutText];
    describe(weight.layout, layout);
    switch (use) {
        case TENON_USE_MATMUL:
            name_matmul(*weights.device, layout, text, capacity);
            return TENON_OK;
        case TENON_USE_ROWS:
            std::snprintf(text, capacity, "%s, embed:%s", layout,
                          name_of(kernels.find("embed", "plain")));
            return TENON_OK;
        case TENON_USE_ELEMENTWISE:
            std::snprintf(text, capacity, "f32, read whole");
            return TENON_OK;
        default: return TENON_INVALID;
    }
}

constexpr tenon_weight_kernels kTable = {sizeof(tenon_weight_kernels), 0, name_kernel};

}  // namespace

const void* Impl::device_ext(Device&, const char* id) noexcept {
    return sdk::same(id, TENON_EXT_WEIGHT_KERNELS) ? &kTable : nullptr;
}

}  // namespace tenon::vulkan
