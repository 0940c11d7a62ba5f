#include "core/quantize/block_layout.h"

#include <algorithm>
#include <set>
#include <string>

#include <fmt/format.h>
#include <tenon/reference/dequant.h>

namespace tenon::quantize {

namespace {

constexpr uint8_t kTritWeights[5] = {81, 27, 9, 3, 1};

Error refused(const tenon_format& format, std::string_view why) {
    return {Code::kUnsupported, fmt::format("{} cannot be written: {}",
                                            std::string_view(format.id.p, format.id.n), why)};
}

}  // namespace

Status BlockLayout::add_fields(const tenon_bit_field* fields, uint32_t n, uint32_t count,
                               CodeArray& out) {
    for (uint32_t i = 0; i < count; ++i) {
        out.starts_.push_back(static_cast<uint32_t>(out.digits_.size()));
        for (const tenon_bit_field* field = fields; field != fields + n; ++field) {
            if (i < field->first || i - field->first >= field->count) continue;
            const uint32_t span = field->lanes * reference::digits_per_byte(*field);
            const uint32_t at = i - field->first;
            const uint32_t digit = at % span / field->lanes;
            const bool is_trit = field->radix == 3;
            CodeArray::Digit place{};
            place.byte = field->offset + at / span * field->lanes + at % field->lanes;
            place.place = static_cast<uint8_t>(field->place);
            place.mask = static_cast<uint8_t>(is_trit ? 3 : (1u << field->bits) - 1);
            place.shift = static_cast<uint8_t>(is_trit ? 0 : field->shift + digit * field->bits);
            place.weight = is_trit ? kTritWeights[digit] : uint8_t{0};
            out.digits_.push_back(place);
        }
    }
    out.starts_.push_back(static_cast<uint32_t>(out.digits_.size()));
    return find_values(out);
}

void BlockLayout::add_packed(const tenon_format& format) {
    const auto push = [&](uint64_t byte, uint32_t place, uint32_t bits, uint64_t shift) {
        codes_.digits_.push_back(
            {static_cast<uint32_t>(format.codes_offset + byte), static_cast<uint8_t>(place),
             static_cast<uint8_t>((1u << bits) - 1), static_cast<uint8_t>(shift), 0});
    };
    const uint32_t half = format.block_elems / 2;
    for (uint32_t i = 0; i < format.block_elems; ++i) {
        codes_.starts_.push_back(static_cast<uint32_t>(codes_.digits_.size()));
        if (format.packing == TENON_PACK_BYTES) {
            push(i, 0, 8, 0);
        } else if (format.packing == TENON_PACK_NIBBLE_HALVES) {
            push(i % half, 0, 4, i < half ? 0 : 4);
        } else {
            const uint64_t bit = uint64_t{i} * format.bits;
            const auto here = static_cast<uint32_t>(std::min<uint64_t>(format.bits, 8 - bit % 8));
            push(bit / 8, 0, here, bit % 8);
            if (here < format.bits) push(bit / 8 + 1, here, format.bits - here, 0);
        }
    }
    codes_.starts_.push_back(static_cast<uint32_t>(codes_.digits_.size()));
}

Status BlockLayout::find_values(CodeArray& array) const {
    const auto same_digits = [&](uint32_t i) {
        return std::equal(
            array.digits_.begin() + array.starts_[i], array.digits_.begin() + array.starts_[i + 1],
            array.digits_.begin() + array.starts_[i - 1], array.digits_.begin() + array.starts_[i],
            [](const CodeArray::Digit& a, const CodeArray::Digit& b) {
                return a.place == b.place && a.mask == b.mask && (a.weight != 0) == (b.weight != 0);
            });
    };
    for (uint32_t i = 0; i < array.count(); ++i) {
        if (i > 0 && same_digits(i)) continue;
        // Which codes the digits of code i can say: those that every digit holds unchanged.
        std::set<uint32_t> values{0};
        for (uint32_t d = array.starts_[i]; d < array.starts_[i + 1]; ++d) {
            const CodeArray::Digit& digit = array.digits_[d];
            const uint32_t last = digit.weight != 0 ? 2 : digit.mask;
            std::set<uint32_t> wider;
            for (const uint32_t value : values)
                for (uint32_t part = 0; part <= last; ++part)
                    wider.insert(value | part << digit.place);
            values = std::move(wider);
        }
        std::vector<uint32_t> sayable;
        for (const uint32_t value : values) {
            bool holds = true;
            for (uint32_t d = array.starts_[i]; d < array.starts_[i + 1]; ++d) {
                const CodeArray::Digit& digit = array.digits_[d];
                holds = holds && (digit.weight == 0 || (value >> digit.place & 3u) < 3);
            }
            if (holds) sayable.push_back(value);
        }
        if (i == 0) array.values_ = sayable;
        if (array.values_ != sayable)
            return Error{Code::kUnsupported, "codes of one block differ in their width"};
    }
    return {};
}

Status BlockLayout::claim(const CodeArray& array, std::vector<uint8_t>& bits,
                          std::vector<uint8_t>& trits) {
    for (const CodeArray::Digit& digit : array.digits_) {
        uint8_t& bit = bits[digit.byte];
        uint8_t& trit = trits[digit.byte];
        bool is_free;
        if (digit.weight != 0) {
            const auto place = static_cast<uint8_t>(
                1 << (std::find(std::begin(kTritWeights), std::end(kTritWeights), digit.weight) -
                      std::begin(kTritWeights)));
            is_free = bit == 0 && (trit & place) == 0;
            if (trit == 0) trit_bytes_.push_back(digit.byte);
            trit |= place;
        } else {
            const auto place = static_cast<uint8_t>(digit.mask << digit.shift);
            is_free = trit == 0 && (bit & place) == 0;
            bit |= place;
        }
        if (!is_free) return Error{Code::kUnsupported, "two numbers of a block share a bit"};
    }
    return {};
}

Result<BlockLayout> BlockLayout::create(const tenon_format& format) {
    if (const char* problem = reference::format_problem(format)) return refused(format, problem);
    if (format.cls == TENON_FORMAT_FLOAT) return refused(format, "plain floats have no codes");
    BlockLayout layout;
    const uint32_t groups = format.block_elems / format.group;
    const auto build = [&]() -> Status {
        if (format.packing == TENON_PACK_FIELDS) {
            TENON_CHECK(layout.add_fields(format.code_fields, format.n_code_fields,
                                          format.block_elems, layout.codes_));
        } else {
            layout.add_packed(format);
            for (uint32_t code = 0; code < 1u << format.bits; ++code)
                layout.codes_.values_.push_back(code);
        }
        if (format.n_scale_fields != 0)
            TENON_CHECK(layout.add_fields(format.scale_fields, format.n_scale_fields, groups,
                                          layout.scales_));
        else
            layout.scales_.starts_ = {0};
        if (format.n_min_fields != 0)
            TENON_CHECK(
                layout.add_fields(format.min_fields, format.n_min_fields, groups, layout.mins_));
        else
            layout.mins_.starts_ = {0};
        std::vector<uint8_t> bits(format.block_bytes), trits(format.block_bytes);
        const auto floats = [&](uint32_t offset, uint32_t dtype, bool coded) {
            const uint32_t bytes = reference::float_type_bytes(dtype) * (coded ? 1 : groups);
            bool is_free = true;
            for (uint32_t byte = offset; byte < offset + bytes; ++byte) {
                is_free = is_free && bits[byte] == 0;
                bits[byte] = 0xff;
            }
            return is_free;
        };
        const bool scales_free =
            floats(format.scale_offset, format.scale_type, format.n_scale_fields != 0);
        const bool mins_free = format.min_type == 0 ||
                               floats(format.min_offset, format.min_type, format.n_min_fields != 0);
        if (!scales_free || !mins_free)
            return Error{Code::kUnsupported, "two numbers of a block share a bit"};
        TENON_CHECK(layout.claim(layout.codes_, bits, trits));
        TENON_CHECK(layout.claim(layout.scales_, bits, trits));
        return layout.claim(layout.mins_, bits, trits);
    };
    if (const Status status = build(); !status.ok()) return refused(format, status.error().message);
    return layout;
}

void BlockLayout::store(const CodeArray& array, const uint32_t* codes,
                        std::byte* block) const noexcept {
    const CodeArray::Digit* digit = array.digits_.data();
    for (uint32_t i = 0; i < array.count(); ++i) {
        const CodeArray::Digit* end = array.digits_.data() + array.starts_[i + 1];
        for (; digit != end; ++digit) {
            const uint32_t part = codes[i] >> digit->place & digit->mask;
            auto& byte = reinterpret_cast<uint8_t&>(block[digit->byte]);
            byte = static_cast<uint8_t>(
                byte + (digit->weight != 0 ? part * digit->weight : part << digit->shift));
        }
    }
}

void BlockLayout::finish(std::byte* block) const noexcept {
    // A byte of five trits holds their number as a fraction of 243, rounded up: the reader
    // multiplies it by 3 and takes what passes 256, five times.
    for (const uint32_t at : trit_bytes_) {
        auto& byte = reinterpret_cast<uint8_t&>(block[at]);
        byte = static_cast<uint8_t>((byte * 256u + 242u) / 243u);
    }
}

}  // namespace tenon::quantize
