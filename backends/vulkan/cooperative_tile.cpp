#include "backends/vulkan/cooperative_tile.h"

#include <algorithm>

#include "shaders/matmul/params.h"

namespace tenon::vulkan {
namespace {

constexpr uint32_t kInvocationsMax = 256;
constexpr uint64_t kGroupsWanted = 64;  // fewer than a GPU runs at once

}  // namespace

CooperativeTile cooperative_tile(const Features& f, int64_t tokens, uint32_t weight_rows,
                                 uint32_t sets) noexcept {
    if (f.matrix == MatrixShape{} || f.subgroup_size == 0) return {};
    const uint32_t invocations = std::min({kInvocationsMax, f.group_invocations, f.group_size[0]});
    CooperativeTile tile{8, 2, 2 / sets, 4};
    while (tile.subgroups > 1 && tile.subgroups * f.subgroup_size > invocations)
        tile.subgroups /= 2;
    if (tile.subgroups * f.subgroup_size > invocations) return {};
    tile.team = std::min(tile.team, tile.subgroups);
    const auto group_rows = [&] { return tile.subgroups / tile.team * tile.rows * f.matrix.n; };
    const auto group_tokens = [&] { return tile.team * tile.tokens * f.matrix.m; };
    // A power of two, so halves stay whole.
    while (tile.tokens > 1 && group_tokens() / 2 >= tokens)
        tile.tokens /= 2;
    const auto groups = [&] {
        return ((uint64_t{weight_rows} + group_rows() - 1) / group_rows()) *
               ((static_cast<uint64_t>(tokens) + group_tokens() - 1) / group_tokens());
    };
    if (groups() < kGroupsWanted && tile.tokens > 1) tile.tokens /= 2;
    if (groups() < kGroupsWanted && tile.rows > 1) tile.rows /= 2;
    const auto shared = [&] {
        return shaders::matmul_cooperative_shared(tile.subgroups, group_rows(), group_tokens(),
                                                  sets, f.matrix.m * f.matrix.n);
    };
    while (shared() > f.shared_bytes) {
        if (tile.tokens > 1)
            tile.tokens /= 2;
        else if (tile.rows > 1)
            tile.rows /= 2;
        else if (tile.subgroups > tile.team)
            tile.subgroups /= 2;
        else if (tile.team > 1)
            tile.team = tile.subgroups = 1;
        else
            return {};
    }
    return tile;
}

}  // namespace tenon::vulkan
