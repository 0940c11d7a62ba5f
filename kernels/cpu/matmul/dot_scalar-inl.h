// Exact 16-element products of codes in plain C++; included by matmul-inl.h alone.
#pragma once

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kFastTokens = 4;

template <class Format>
TENON_INLINE int32_t code_at(const uint8_t* w, uint32_t lane, uint32_t col) {
    if constexpr (Format::kNibbles) {
        const uint32_t byte = w[(col % 16) / 4 * 64 + lane * 4 + col % 4];
        return static_cast<int32_t>(col < 16 ? byte & 15u : byte >> 4);
    } else {
        return w[col / 4 * 64 + lane * 4 + col % 4];
    }
}

template <class Format, uint32_t Tokens>
TENON_INLINE void prefetch_ahead(const uint8_t*, size_t) {}

template <class Format, uint32_t Tokens, uint32_t Half>
TENON_INLINE void dot_half(const uint8_t* w, const ActivationBlock& x, uint32_t slot, I* dot) {
    constexpr uint32_t kCols = kBlockCols / 2;
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
        int32_t codes[kCols];
        for (uint32_t col = 0; col < kCols; ++col)
            codes[col] = code_at<Format>(w, lane, Half * kCols + col);
        for (uint32_t t = 0; t < Tokens; ++t) {
            int32_t sum = x.minus_sum[Half][slot + t] * Format::kZeroPoint;
            for (uint32_t col = 0; col < kCols; ++col)
                sum += codes[col] * x.codes[slot + t][Half * kCols + col];
            dot[t].v[lane] = sum;
        }
    }
}

template <class Format>
TENON_INLINE void decode_codes(const uint8_t* w, F scale, F min, float* out) {
    for (uint32_t col = 0; col < kBlockCols; ++col) {
        F codes;
        for (uint32_t lane = 0; lane < kLanes; ++lane)
            codes.v[lane] = static_cast<float>(code_at<Format>(w, lane, col));
        store(out + col * kLanes, fma_lanes(codes, scale, min));
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
