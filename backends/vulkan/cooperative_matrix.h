// VK_KHR_cooperative_matrix for headers that are older than it (Debian 12's are 1.3.239): the numbers
// and layouts of the extension's specification, revision 2, extension number 507 of the registry.
#pragma once

#include "backends/vulkan/volk.h"

#ifndef VK_KHR_cooperative_matrix
#define VK_KHR_cooperative_matrix 1
#define VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME "VK_KHR_cooperative_matrix"

constexpr auto VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR =
    static_cast<VkStructureType>(1000506000);
constexpr auto VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR =
    static_cast<VkStructureType>(1000506001);
constexpr auto VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_PROPERTIES_KHR =
    static_cast<VkStructureType>(1000506002);

// Of its values those that are asked for. A driver may answer others.
using VkComponentTypeKHR = uint32_t;
constexpr VkComponentTypeKHR VK_COMPONENT_TYPE_FLOAT16_KHR = 0;
constexpr VkComponentTypeKHR VK_COMPONENT_TYPE_FLOAT32_KHR = 1;
using VkScopeKHR = uint32_t;
constexpr VkScopeKHR VK_SCOPE_SUBGROUP_KHR = 3;

struct VkCooperativeMatrixPropertiesKHR {
    VkStructureType sType;
    void* pNext;
    uint32_t MSize;
    uint32_t NSize;
    uint32_t KSize;
    VkComponentTypeKHR AType;
    VkComponentTypeKHR BType;
    VkComponentTypeKHR CType;
    VkComponentTypeKHR ResultType;
    VkBool32 saturatingAccumulation;
    VkScopeKHR scope;
};

struct VkPhysicalDeviceCooperativeMatrixFeaturesKHR {
    VkStructureType sType;
    void* pNext;
    VkBool32 cooperativeMatrix;
    VkBool32 cooperativeMatrixRobustBufferAccess;
};

struct VkPhysicalDeviceCooperativeMatrixPropertiesKHR {
    VkStructureType sType;
    void* pNext;
    VkShaderStageFlags cooperativeMatrixSupportedStages;
};

using PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR =
    VkResult(VKAPI_PTR*)(VkPhysicalDevice physicalDevice, uint32_t* pPropertyCount,
                         VkCooperativeMatrixPropertiesKHR* pProperties);
#endif

namespace tenon::vulkan {

// Sizes of a product of matrices, M x K by K x N; zeros: none.
struct MatrixShape {
    uint32_t m = 0, n = 0, k = 0;
    bool operator==(const MatrixShape& other) const noexcept {
        return m == other.m && n == other.n && k == other.k;
    }
    bool operator!=(const MatrixShape& other) const noexcept { return !(*this == other); }
};

// The product of binary16 matrices added to binary32 that a subgroup computes and that the shaders can
// use: M and N at most 32, K a divisor of 32, N and K
// multiples of 4. The first of the largest;
// none where the device has none.
MatrixShape find_matrix_shape(VkInstance instance, VkPhysicalDevice physical);

}  // namespace tenon::vulkan
