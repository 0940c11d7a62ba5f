// Codes of stored blocks, a run of bytes at a time: what reference::load_code gives one by one.
#pragma once

#include <cstdint>

#include <tenon/abi.h>

namespace tenon::kernels {

// codes[0 .. count) of the codes that `fields` describe.
void load_fields(const tenon_bit_field* fields, uint32_t n, const uint8_t* block, uint32_t count,
                 uint8_t* codes) noexcept;

// codes[0 .. block_elems) of one block. Signed codes (PACK_BYTES) come as code + 128.
void load_codes(const tenon_format& format, const uint8_t* block, uint8_t* codes) noexcept;

}  // namespace tenon::kernels
