// The walk over tokens, groups and panels of matmul_rounded; included by the files whose level
// multiplies pairs of bfloat16, behind matmul-inl.h, once they have declared what it calls:
//
// kRoundedSlots, even         tokens of a register tile
// round_panel                 x[tokens][cols] to bfloat16, in an order of the level's own; token t, if
//                             even, begins at out[t * kPanelCols]
// add_rounded<Groups>         adds the products of `cols` columns of that many row groups with `count`
//                             tokens to total[group * kPanelTokens + token]
#pragma once

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kRoundedGroups = 4;

template <uint32_t Groups>
TENON_INLINE void rounded_groups(const MatmulArgs& a, uint32_t group, uint32_t token,
                                 uint32_t tokens) {
    const size_t stride = size_t{a.cols} * FormatBf16::kColBytes;
    const uint8_t* w = static_cast<const uint8_t*>(a.weights) + group * stride;
    alignas(64) uint16_t x[kPanelTokens * kPanelCols];
    F total[Groups * kPanelTokens];
    for (uint32_t g = 0; g < Groups; ++g)
        for (uint32_t t = 0; t < tokens; ++t)
            total[g * kPanelTokens + t] = zero();
    for (uint32_t first = 0; first < a.cols; first += kPanelCols) {
        const uint32_t rest = a.cols - first;
        const uint32_t cols = rest < kPanelCols ? rest : kPanelCols;
        round_panel(a.x + token * a.x_stride + first, a.x_stride, tokens, cols, x);
        for (uint32_t t = 0; t < tokens; t += kRoundedSlots)
            add_rounded<Groups>(tokens - t < kRoundedSlots ? tokens - t : kRoundedSlots,
                                w + size_t{first} * FormatBf16::kColBytes, stride, cols,
                                x + t * kPanelCols, total + t);
    }
    for (uint32_t g = 0; g < Groups; ++g)
        for (uint32_t t = 0; t < tokens; ++t)
            finish(a, group + g, token + t, total[g * kPanelTokens + t]);
}

void matmul_rounded(const MatmulArgs& a) {
    for (uint32_t panel = a.token_begin; panel < a.token_end; panel += kPanelTokens) {
        const uint32_t left = a.token_end - panel;
        const uint32_t tokens = left < kPanelTokens ? left : kPanelTokens;
        uint32_t group = a.group_begin;
        for (; group + kRoundedGroups <= a.group_end; group += kRoundedGroups)
            rounded_groups<kRoundedGroups>(a, group, panel, tokens);
        for (; group < a.group_end; ++group)
            rounded_groups<1>(a, group, panel, tokens);
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
