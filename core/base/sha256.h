// SHA-256 (FIPS 180-4): digests of plugins, weights and downloads. Values; thread-compatible.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tenon {

using Sha256Digest = std::array<uint8_t, 32>;

// Digest of bytes given piece by piece.
class Sha256 {
public:
    void update(std::span<const std::byte> bytes) noexcept;
    void update(std::string_view text) noexcept {
        update(std::as_bytes(std::span(text.data(), text.size())));
    }
    // The digest of everything given so far. Call once, last.
    Sha256Digest finish() noexcept;

private:
    void compress(const uint8_t* block) noexcept;

    std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<uint8_t, 64> block_{};
    size_t used_ = 0;     // bytes of block_
    uint64_t total_ = 0;  // bytes in all
};

Sha256Digest sha256(std::span<const std::byte> bytes) noexcept;

// 64 lower-case hexadecimal digits.
std::string to_hex(const Sha256Digest& digest);

}  // namespace tenon
