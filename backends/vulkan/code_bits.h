// Codes between their places in a stored block, one byte each, and the planes of packed weights.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <tenon/reference/dequant.h>

namespace tenon::vulkan {

// Digits of `count` neighbouring codes in as many neighbouring bytes.
struct Run {
    uint32_t first, count, byte;
    uint16_t power;  // radix 3: 3^digit mod 256; radix 2: 0
    uint8_t shift, mask, place;
};

inline void add_field(const tenon_bit_field& field, std::vector<Run>* runs) {
    uint32_t done = 0, byte = field.offset;
    for (; done < field.count; byte += field.lanes) {
        uint16_t power = 1;
        for (uint32_t digit = 0; digit < reference::digits_per_byte(field) && done < field.count;
             ++digit) {
            Run run{};
            run.first = field.first + done;
            run.count = std::min(field.lanes, field.count - done);
            run.byte = byte;
            run.power = field.radix == 3 ? power : 0;
            run.shift = static_cast<uint8_t>(field.shift + digit * field.bits);
            run.mask = static_cast<uint8_t>((1u << field.bits) - 1);
            run.place = static_cast<uint8_t>(field.place);
            runs->push_back(run);
            done += run.count;
            power = static_cast<uint16_t>(power * 3 & 255);
        }
    }
}

inline tenon_bit_field field_of(uint32_t first, uint32_t count, uint32_t offset, uint32_t lanes,
                                uint32_t bits, uint32_t shift = 0, uint32_t place = 0) {
    return {first, count, offset, lanes, 2, bits, shift, place};
}

// Runs that together give every code of a block; a code's bits may come from several. Throws
// std::bad_alloc.
inline std::vector<Run> make_runs(const tenon_format& f) {
    std::vector<Run> runs;
    if (f.packing == TENON_PACK_FIELDS) {
        for (uint32_t i = 0; i < f.n_code_fields; ++i)
            add_field(f.code_fields[i], &runs);
    } else if (f.packing == TENON_PACK_BYTES) {
        add_field(field_of(0, f.block_elems, f.codes_offset, f.block_elems, 8), &runs);
    } else if (f.packing == TENON_PACK_NIBBLE_HALVES) {
        add_field(field_of(0, f.block_elems, f.codes_offset, f.block_elems / 2, 4), &runs);
    } else {
        for (uint32_t i = 0; i < f.block_elems; ++i) {
            const uint32_t bit = i * f.bits;
            const uint32_t in_byte = bit % 8;
            const uint32_t here = std::min(f.bits, 8 - in_byte);
            const uint32_t byte = f.codes_offset + bit / 8;
            add_field(field_of(i, 1, byte, 1, here, in_byte), &runs);
            if (here < f.bits)
                add_field(field_of(i, 1, byte + 1, 1, f.bits - here, 0, here), &runs);
        }
    }
    return runs;
}

// Adds the run's digits to the codes from its first on; `bytes`: from its byte of the block on. Where
// GCC inlines it, it forgets that they overlap no codes: 0.9 instead of 1.3 GB/s of Q4_0.
[[gnu::noinline]] inline void add_run(const Run& run, const uint8_t* __restrict bytes,
                                      uint8_t* __restrict codes) noexcept {
    if (run.power != 0) {
        for (uint32_t i = 0; i < run.count; ++i)
            codes[i] |= static_cast<uint8_t>(((bytes[i] * run.power & 255) * 3 >> 8) << run.place);
        return;
    }
    for (uint32_t i = 0; i < run.count; ++i)
        codes[i] |= static_cast<uint8_t>((bytes[i] >> run.shift & run.mask) << run.place);
}

// `bits` bits from `shift` on of each of `count` codes (a multiple of 32), first code lowest.
inline void put_bits(const uint8_t* __restrict codes, uint64_t count, uint32_t shift, uint32_t bits,
                     uint8_t* __restrict out) noexcept {
    switch (bits) {
        case 1:
            for (uint64_t i = 0; i < count / 8; ++i) {
                uint32_t byte = 0;
                for (uint32_t k = 0; k < 8; ++k)
                    byte |= (codes[8 * i + k] >> shift & 1u) << k;
                out[i] = static_cast<uint8_t>(byte);
            }
            return;
        case 2:
            for (uint64_t i = 0; i < count / 4; ++i) {
                uint32_t byte = 0;
                for (uint32_t k = 0; k < 4; ++k)
                    byte |= (codes[4 * i + k] >> shift & 3u) << 2 * k;
                out[i] = static_cast<uint8_t>(byte);
            }
            return;
        case 4:
            for (uint64_t i = 0; i < count / 2; ++i)
                out[i] = static_cast<uint8_t>((codes[2 * i] >> shift & 15) |
                                              (codes[2 * i + 1] >> shift & 15) << 4);
            return;
        default: std::memcpy(out, codes, count); return;
    }
}

// Number `index` of the values of `bits` bits that put_bits wrote.
inline uint32_t get_bits(const uint8_t* plane, uint64_t index, uint32_t bits) noexcept {
    const uint64_t at = index * bits;
    return plane[at / 8] >> at % 8 & ((1u << bits) - 1);
}

}  // namespace tenon::vulkan
