// The weight formats Tenon stores and reads, as declared data. Adding one is a row in
// format_list.cpp and a golden vector; no decoder, no reader changes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <tenon/abi.h>

#include "core/base/bytes.h"

namespace tenon::formats {

// A format by its two names: the number a GGUF file stores and the word people use.
struct StoredFormat {
    uint32_t gguf_type;
    std::string_view name;  // "q4_1"
    tenon_format format;    // lives for the process; id such as "gguf.q4_1/0"
};

// Every format, in the order of its GGUF number.
std::span<const StoredFormat> stored_formats() noexcept;

// Null when no format has that number, name or id.
const StoredFormat* find_gguf_format(uint32_t gguf_type) noexcept;
const StoredFormat* find_format(std::string_view name_or_id) noexcept;

// What GGUF writers call tensor type `gguf_type`, also where Tenon cannot read it: "q6_k". Empty
// for numbers that no published writer uses.
std::string_view gguf_type_name(uint32_t gguf_type) noexcept;

// Bytes of a tensor of `dims` (dims[0] = columns, contiguous) stored as `format`: the one place
// where a tensor's size is computed. Not ok() on overflow or when the element count passes 2^63
// - 1. dims[0] must be a multiple of block_elems.
CheckedSize stored_bytes(const tenon_format& format, std::span<const uint64_t> dims) noexcept;

}  // namespace tenon::formats
