#include "backends/vulkan/cooperative_matrix.h"

#include <vector>

#include "shaders/include/decode.h"

namespace tenon::vulkan {
namespace {

constexpr uint32_t kFours = 4;  // elements, of which shared memory is read and written
constexpr uint32_t kSizeMax = 32;

bool serves(const VkCooperativeMatrixPropertiesKHR& p) noexcept {
    return p.AType == VK_COMPONENT_TYPE_FLOAT16_KHR && p.BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
           p.CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
           p.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR && p.scope == VK_SCOPE_SUBGROUP_KHR &&
           p.saturatingAccumulation == VK_FALSE && p.MSize != 0 && p.NSize != 0 && p.KSize != 0 &&
           p.MSize <= kSizeMax && p.NSize <= kSizeMax && p.NSize % kFours == 0 &&
           p.KSize % kFours == 0 && TENON_BLOCK_COLS % p.KSize == 0;
}

}  // namespace

MatrixShape find_matrix_shape(VkInstance instance, VkPhysicalDevice physical) {
    const auto list = reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
        vkGetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    if (list == nullptr) return {};
    uint32_t count = 0;
    if (list(physical, &count, nullptr) < 0) return {};
    VkCooperativeMatrixPropertiesKHR empty{};
    empty.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    std::vector<VkCooperativeMatrixPropertiesKHR> found(count, empty);
    if (list(physical, &count, found.data()) < 0) return {};
    MatrixShape best;
    for (uint32_t i = 0; i < count; ++i) {
        const VkCooperativeMatrixPropertiesKHR& p = found[i];
        if (serves(p) && p.MSize * p.NSize * p.KSize > best.m * best.n * best.k)
            best = {p.MSize, p.NSize, p.KSize};
    }
    return best;
}

}  // namespace tenon::vulkan
