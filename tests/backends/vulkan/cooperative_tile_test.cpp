#include "backends/vulkan/cooperative_tile.h"

#include <gtest/gtest.h>

#include "shaders/matmul/params.h"

namespace tenon::vulkan {
namespace {

Features device(MatrixShape matrix, uint32_t subgroup, uint32_t shared) {
    Features f;
    f.matrix = matrix;
    f.subgroup_size = subgroup;
    f.shared_bytes = shared;
    f.group_invocations = 1024;
    f.group_size[0] = 1024;
    return f;
}

uint32_t shared_of(const Features& f, const CooperativeTile& t, uint32_t sets) {
    return shaders::matmul_cooperative_shared(
        t.subgroups, t.subgroups / t.team * t.rows * f.matrix.n, t.team * t.tokens * f.matrix.m,
        sets, f.matrix.m * f.matrix.n);
}

TEST(CooperativeTile, NeedsMatricesAndSomeMemory) {
    EXPECT_EQ(cooperative_tile(device({}, 32, 49152), 512, 4096, 1).subgroups, 0u);
    EXPECT_EQ(cooperative_tile(device({16, 16, 16}, 32, 2048), 512, 4096, 1).subgroups, 0u);
    EXPECT_EQ(cooperative_tile(device({16, 16, 16}, 0, 49152), 512, 4096, 1).subgroups, 0u);
}

TEST(CooperativeTile, FitsWhatTheDeviceHas) {
    for (const MatrixShape matrix :
         {MatrixShape{16, 16, 16}, {8, 8, 8}, {8, 16, 16}, {32, 32, 8}}) {
        for (const uint32_t subgroup : {8u, 16u, 32u, 64u, 128u}) {
            for (const uint32_t shared : {16384u, 32768u, 49152u, 102400u}) {
                for (const uint32_t sets : {1u, 2u}) {
                    for (const int64_t tokens : {1, 16, 17, 100, 512}) {
                        const Features f = device(matrix, subgroup, shared);
                        const CooperativeTile t = cooperative_tile(f, tokens, 576, sets);
                        if (t.subgroups == 0) {
                            // Only where not even the smallest fits.
                            EXPECT_GT(shared_of(f, {1, 1, 1, 1}, sets), shared);
                            continue;
                        }
                        EXPECT_LE(shared_of(f, t, sets), shared);
                        EXPECT_LE(t.subgroups * subgroup, 256u);
                        EXPECT_EQ(t.subgroups % t.team, 0u);
                        EXPECT_GE(t.rows, 1u);
                        EXPECT_GE(t.tokens, 1u);
                    }
                }
            }
        }
    }
}

// A large product fills a workgroup, a small one leaves more workgroups.
TEST(CooperativeTile, IsSmallerForSmallProducts) {
    const Features f = device({16, 16, 16}, 32, 49152);
    const CooperativeTile large = cooperative_tile(f, 512, 14336, 1);
    EXPECT_EQ(large.subgroups, 8u);
    EXPECT_EQ(large.rows, 2u);
    EXPECT_EQ(large.tokens, 4u);
    const CooperativeTile small = cooperative_tile(f, 64, 576, 1);
    EXPECT_LT(small.rows * small.tokens, large.rows * large.tokens);
}

}  // namespace
}  // namespace tenon::vulkan
