/* Optional interface of a backend: which kernel reads a weight. device_ext(device,
 * TENON_EXT_WEIGHT_KERNELS) gives its table, or null. For people: no host decides by these texts.
 * C11, C++17 and C++20.
 */
#ifndef TENON_EXT_WEIGHT_KERNELS_H
#define TENON_EXT_WEIGHT_KERNELS_H

#include <tenon/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_EXT_WEIGHT_KERNELS "tenon.weight_kernels/0"

typedef struct tenon_weight_kernels {
    uint32_t size;  /* sizeof of the backend's struct */
    uint32_t flags; /* 0 */
    /* Names what reads entry `entry` of a finished set, measured or not, for one tenon_weight_use in
     * steps prepared for `compute`: at most capacity - 1 bytes of UTF-8 and a NUL. INVALID: no such
     * entry, or not put for that use. The caller owns text. [any]
     */
    int32_t (*name)(tenon_weights* weights, uint32_t entry, uint32_t use, uint32_t compute,
                    char* text, uint32_t capacity);
} tenon_weight_kernels;

#ifdef __cplusplus
}
#endif

#endif
