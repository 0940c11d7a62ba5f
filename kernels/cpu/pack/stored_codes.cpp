#include "kernels/cpu/pack/stored_codes.h"

#include <algorithm>
#include <cstring>

#include <tenon/reference/dequant.h>

namespace tenon::kernels {
namespace {

// One digit of each of `count` bytes side by side joins the codes.
void add_digits(const tenon_bit_field& field, uint32_t digit, const uint8_t* __restrict bytes,
                uint32_t count, uint8_t* __restrict codes) {
    const uint32_t place = field.place;
    if (field.radix == 3) {
        uint32_t power = 1;
        for (uint32_t d = 0; d < digit; ++d)
            power = power * 3 & 255;
        for (uint32_t i = 0; i < count; ++i)
            codes[i] |= static_cast<uint8_t>((bytes[i] * power & 255) * 3 >> 8 << place);
        return;
    }
    const uint32_t shift = field.shift + digit * field.bits;
    const uint32_t mask = (1u << field.bits) - 1;
    for (uint32_t i = 0; i < count; ++i)
        codes[i] |= static_cast<uint8_t>((uint32_t{bytes[i]} >> shift & mask) << place);
}

// Digits of one byte are neighbours: the eight bits of a byte become eight bytes at once.
void add_bits(const tenon_bit_field& field, const uint8_t* bytes, uint8_t* codes) {
    for (uint32_t i = 0; i + 8 <= field.count; i += 8) {
        uint64_t word;
        std::memcpy(&word, codes + i, 8);
        const uint64_t kept = bytes[i / 8] * 0x0101010101010101ull & 0x8040201008040201ull;
        const uint64_t ones = ((kept + 0x7f7f7f7f7f7f7f7full) >> 7) & 0x0101010101010101ull;
        word |= ones << field.place;
        std::memcpy(codes + i, &word, 8);
    }
    for (uint32_t i = field.count / 8 * 8; i < field.count; ++i)
        codes[i] |= static_cast<uint8_t>((bytes[i / 8] >> i % 8 & 1) << field.place);
}

void load_lsb_first(const uint8_t* bytes, uint32_t bits, uint32_t count, uint8_t* codes) {
    const uint64_t mask = (1u << bits) - 1;
    for (uint32_t i = 0; i < count; i += 8, bytes += bits) {
        // Eight codes are `bits` bytes.
        const uint32_t n = std::min(8u, count - i);
        uint64_t word = 0;
        std::memcpy(&word, bytes, (n * bits + 7) / 8);
        for (uint32_t k = 0; k < n; ++k)
            codes[i + k] = static_cast<uint8_t>(word >> k * bits & mask);
    }
}

}  // namespace

void load_fields(const tenon_bit_field* fields, uint32_t n, const uint8_t* block, uint32_t count,
                 uint8_t* codes) noexcept {
    std::memset(codes, 0, count);
    for (const tenon_bit_field* field = fields; field != fields + n; ++field) {
        const uint8_t* bytes = block + field->offset;
        uint8_t* out = codes + field->first;
        if (field->lanes == 1 && field->radix == 2 && field->bits == 1 && field->shift == 0) {
            add_bits(*field, bytes, out);
            continue;
        }
        const uint32_t digits = reference::digits_per_byte(*field);
        for (uint32_t left = field->count; left > 0; bytes += field->lanes)
            for (uint32_t digit = 0; digit < digits && left > 0; ++digit) {
                const uint32_t run = std::min(field->lanes, left);
                add_digits(*field, digit, bytes, run, out);
                out += run;
                left -= run;
            }
    }
}

void load_codes(const tenon_format& format, const uint8_t* block, uint8_t* codes) noexcept {
    const uint32_t count = format.block_elems;
    const uint8_t* bytes = block + format.codes_offset;
    switch (format.packing) {
        case TENON_PACK_FIELDS:
            return load_fields(format.code_fields, format.n_code_fields, block, count, codes);
        case TENON_PACK_BYTES:
            for (uint32_t i = 0; i < count; ++i)
                codes[i] = bytes[i] ^ 0x80u;
            return;
        case TENON_PACK_NIBBLE_HALVES:
            for (uint32_t i = 0; i < count / 2; ++i)
                codes[i] = bytes[i] & 15u;
            for (uint32_t i = 0; i < count / 2; ++i)
                codes[count / 2 + i] = static_cast<uint8_t>(bytes[i] >> 4);
            return;
        default: return load_lsb_first(bytes, format.bits, count, codes);
    }
}

}  // namespace tenon::kernels
