// Sizes that cannot wrap and reads that cannot leave their bytes: what every parser of a file or a
// message is written with. Values; thread-compatible.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "core/base/result.h"

namespace tenon {

static_assert(std::endian::native == std::endian::little,
              "Tenon reads little-endian files in place");

// A byte or element count whose arithmetic remembers an overflow instead of wrapping.
// value() is meaningful only when ok().
class CheckedSize {
public:
    constexpr CheckedSize(uint64_t value) noexcept : value_(value) {}

    constexpr bool ok() const noexcept { return !overflowed_; }
    constexpr uint64_t value() const noexcept { return value_; }
    constexpr bool fits(uint64_t limit) const noexcept { return ok() && value_ <= limit; }

    // The value, or an error that says what was counted.
    Result<uint64_t> get(std::string_view what) const;

    friend constexpr CheckedSize operator+(CheckedSize a, CheckedSize b) noexcept {
        CheckedSize sum = a;
        sum.overflowed_ = __builtin_add_overflow(a.value_, b.value_, &sum.value_) ||
                          a.overflowed_ || b.overflowed_;
        return sum;
    }
    friend constexpr CheckedSize operator*(CheckedSize a, CheckedSize b) noexcept {
        CheckedSize product = a;
        product.overflowed_ = __builtin_mul_overflow(a.value_, b.value_, &product.value_) ||
                              a.overflowed_ || b.overflowed_;
        return product;
    }

private:
    uint64_t value_;
    bool overflowed_ = false;
};

// The next multiple of `alignment`, a power of two.
constexpr CheckedSize align_up(CheckedSize size, uint64_t alignment) noexcept {
    const CheckedSize padded = size + (alignment - 1);
    return padded.ok() ? CheckedSize(padded.value() & ~(alignment - 1)) : padded;
}

// The error of a read that would pass the end: kData, with offset, need and size.
Error truncated(std::string_view what, uint64_t offset, uint64_t needed, uint64_t size);

// Reads little-endian numbers and runs of bytes from front to back. Views `bytes`, which must
// outlive it. Every read either succeeds inside the bytes or fails with kData and moves nothing;
// `what` names the thing read in the error sentence.
class ByteReader {
public:
    explicit ByteReader(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

    uint64_t offset() const noexcept { return offset_; }
    uint64_t size() const noexcept { return bytes_.size(); }
    uint64_t remaining() const noexcept { return bytes_.size() - offset_; }

    template <class T>
    Result<T> read(std::string_view what) {
        static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
        if (remaining() < sizeof(T)) return truncated(what, offset_, sizeof(T), size());
        T value;
        std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
        offset_ += sizeof(T);
        return value;
    }

    // A view of the next `count` bytes.
    Result<std::span<const std::byte>> take(uint64_t count, std::string_view what) {
        if (remaining() < count) return truncated(what, offset_, count, size());
        const auto view = bytes_.subspan(offset_, count);
        offset_ += count;
        return view;
    }

private:
    std::span<const std::byte> bytes_;
    uint64_t offset_ = 0;
};

// The bytes as text; no check of encoding.
inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// `text` made safe for a message: control bytes and bytes above 0x7e as \xNN, cut after
// `length_max` bytes of input with "...".
std::string printable(std::string_view text, size_t length_max = 96);

}  // namespace tenon
