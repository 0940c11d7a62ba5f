#include "core/host/declared_format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <tenon/reference/dequant.h>

#include <algorithm>

#include "core/base/bytes.h"
#include "core/host/manifest_reader.h"

namespace tenon::host {
namespace {

struct Word {
    std::string_view text;
    uint32_t value;
};
constexpr Word kClasses[] = {{"affine_group", TENON_FORMAT_AFFINE_GROUP},
                             {"lut_group", TENON_FORMAT_LUT_GROUP}};
constexpr Word kPackings[] = {{"bytes", TENON_PACK_BYTES},
                              {"nibble_halves", TENON_PACK_NIBBLE_HALVES},
                              {"lsb_first", TENON_PACK_LSB_FIRST},
                              {"fields", TENON_PACK_FIELDS}};
constexpr Word kTypes[] = {
    {"f32", TENON_F32}, {"f16", TENON_F16}, {"bf16", TENON_BF16}, {"e8m0", TENON_E8M0}};

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A lower-case letter, then letters, digits and characters of `more`.
bool is_word(std::string_view text, std::string_view more) {
    return !text.empty() && is_lower(text[0]) && std::all_of(text.begin(), text.end(), [&](char c) {
        return is_lower(c) || is_digit(c) || more.find(c) != more.npos;
    });
}

class FormatReader {
public:
    FormatReader(const ManifestReader& reader, const YAML::Node& node)
        : reader_(reader), node_(node) {}

    Result<DeclaredFormat> read() {
        if (!node_.IsMap()) return reader_.error(node_, "an entry of 'formats' is no mapping");
        TENON_CHECK(reader_.check_keys(
            node_, "a format",
            {"id", "name", "gguf_type", "class", "bits", "group", "block_elems", "block_bytes",
             "packing", "codes_offset", "fields", "scale", "min", "zero_point", "lut"}));
        made_.where = reader_.place(node_);
        TENON_CHECK(read_names());
        tenon_format& f = made_.numbers;
        f.size = sizeof f;
        TENON_TRY(f.cls, word("class", node_, kClasses));
        TENON_TRY(f.bits, number(node_, "bits", 1, 8));
        TENON_TRY(f.group, number(node_, "group", 1, reference::kFormatBlockElemsMax));
        TENON_TRY(f.block_elems, number(node_, "block_elems", 1, reference::kFormatBlockElemsMax));
        TENON_TRY(f.block_bytes, number(node_, "block_bytes", 1, reference::kFormatBlockBytesMax));
        TENON_TRY(f.packing, word("packing", node_, kPackings));
        TENON_CHECK(read_codes());
        TENON_CHECK(read_scale());
        TENON_CHECK(read_min());
        TENON_CHECK(read_levels());
        if (const char* problem = reference::format_problem(made_.format()); problem != nullptr) {
            return reader_.error(node_, fmt::format("format '{}': {}", made_.name, problem));
        }
        return std::move(made_);
    }

private:
    Status read_names() {
        TENON_TRY(made_.name, reader_.text(node_, "name", 64));
        if (!is_word(made_.name, "_")) {
            return reader_.error(node_["name"],
                                 fmt::format("name is '{}', wanted a lower-case letter, then "
                                             "letters, digits and '_'",
                                             printable(made_.name)));
        }
        TENON_TRY(made_.id, reader_.text(node_, "id", 64));
        const size_t slash = made_.id.find('/');
        const std::string_view id = made_.id;
        const bool revised =
            slash != id.npos && slash + 1 < id.size() &&
            std::all_of(id.begin() + static_cast<std::ptrdiff_t>(slash) + 1, id.end(), is_digit);
        if (!revised || !is_word(id.substr(0, slash), "._-") || id.find('.') == id.npos) {
            return reader_.error(node_["id"], fmt::format("id is '{}', wanted one such as toy.q3/0",
                                                          printable(made_.id)));
        }
        TENON_TRY(made_.gguf_type, number(node_, "gguf_type", 0, UINT32_MAX - 1));
        return {};
    }

    Status read_codes() {
        tenon_format& f = made_.numbers;
        const bool in_fields = f.packing == TENON_PACK_FIELDS;
        const char* const wrong = in_fields ? "codes_offset" : "fields";
        if (node_[wrong].IsDefined()) {
            return reader_.error(node_[wrong], fmt::format("packing {} has no '{}'",
                                                           node_["packing"].Scalar(), wrong));
        }
        if (in_fields) {
            TENON_TRY(made_.code_fields, fields(node_));
            return {};
        }
        TENON_TRY(f.codes_offset,
                  number(node_, "codes_offset", 0, reference::kFormatBlockBytesMax));
        return {};
    }

    Status read_scale() {
        tenon_format& f = made_.numbers;
        const YAML::Node scale = node_["scale"];
        if (!scale.IsDefined()) return reader_.error(node_, "key 'scale' is missing");
        if (!scale.IsMap()) return reader_.error(scale, "'scale' is no mapping");
        TENON_CHECK(
            reader_.check_keys(scale, "scale", {"type", "offset", "zero", "signed", "fields"}));
        TENON_TRY(f.scale_type, word("type", scale, kTypes));
        TENON_TRY(f.scale_offset, number(scale, "offset", 0, reference::kFormatBlockBytesMax));
        TENON_TRY(const bool is_signed, reader_.flag_or(scale, "signed", false));
        if (is_signed) f.flags |= TENON_FORMAT_SCALE_SIGNED;
        TENON_TRY(const int64_t zero, reader_.integer_or(scale, "zero", -256, 256, 0));
        f.scale_zero = static_cast<int32_t>(zero);
        if (scale["fields"].IsDefined()) {
            TENON_TRY(made_.scale_fields, fields(scale));
        } else if (is_signed || zero != 0) {
            return reader_.error(scale, "'signed' and 'zero' are of scales that have 'fields'");
        }
        return {};
    }

    Status read_min() {
        tenon_format& f = made_.numbers;
        const YAML::Node min = node_["min"];
        if (!min.IsDefined()) return {};
        if (!min.IsMap()) return reader_.error(min, "'min' is no mapping");
        if (f.cls == TENON_FORMAT_LUT_GROUP) {
            return reader_.error(min, "a lut_group has no 'min'; its codebook can hold any level");
        }
        TENON_CHECK(reader_.check_keys(min, "min", {"type", "offset", "subtracted", "fields"}));
        TENON_TRY(f.min_type, word("type", min, kTypes));
        TENON_TRY(f.min_offset, number(min, "offset", 0, reference::kFormatBlockBytesMax));
        TENON_TRY(const bool subtracted, reader_.flag_or(min, "subtracted", false));
        if (subtracted) f.flags |= TENON_FORMAT_MIN_SUBTRACTED;
        if (min["fields"].IsDefined()) {
            TENON_TRY(made_.min_fields, fields(min));
        }
        return {};
    }

    // Codebook or zero point: each belongs to one class.
    Status read_levels() {
        tenon_format& f = made_.numbers;
        const bool has_codebook = f.cls == TENON_FORMAT_LUT_GROUP;
        const char* const wrong = has_codebook ? "zero_point" : "lut";
        if (node_[wrong].IsDefined()) {
            return reader_.error(
                node_[wrong], fmt::format("class {} has no '{}'", node_["class"].Scalar(), wrong));
        }
        if (has_codebook) {
            TENON_TRY(made_.lut, reader_.floats(node_, "lut", size_t{1} << f.bits));
            return {};
        }
        TENON_TRY(const int64_t zero, reader_.integer_or(node_, "zero_point", -65536, 65536, 0));
        f.zero_point = static_cast<int32_t>(zero);
        return {};
    }

    Result<std::vector<tenon_bit_field>> fields(const YAML::Node& map) const {
        const YAML::Node list = map["fields"];
        if (!list.IsDefined()) return reader_.error(map, "key 'fields' is missing");
        if (!list.IsSequence() || list.size() < 1 || list.size() > reference::kFormatFieldsMax) {
            return reader_.error(list, fmt::format("'fields' is no list of 1 to {} mappings",
                                                   reference::kFormatFieldsMax));
        }
        constexpr int64_t kBytes = reference::kFormatBlockBytesMax;
        constexpr int64_t kElems = reference::kFormatBlockElemsMax;
        std::vector<tenon_bit_field> made;
        for (const YAML::Node& item : list) {
            if (!item.IsMap()) return reader_.error(item, "an entry of 'fields' is no mapping");
            TENON_CHECK(reader_.check_keys(
                item, "a bit field",
                {"first", "count", "offset", "lanes", "radix", "bits", "shift", "place"}));
            tenon_bit_field field{};
            TENON_TRY(field.first, number_or(item, "first", kElems, 0));
            TENON_TRY(field.count, number(item, "count", 1, kElems));
            TENON_TRY(field.offset, number(item, "offset", 0, kBytes));
            TENON_TRY(field.lanes, number(item, "lanes", 1, kBytes));
            TENON_TRY(field.radix, number_or(item, "radix", 3, 2));
            TENON_TRY(field.bits, number(item, "bits", 1, 8));
            TENON_TRY(field.shift, number_or(item, "shift", 7, 0));
            TENON_TRY(field.place, number_or(item, "place", 7, 0));
            made.push_back(field);
        }
        return made;
    }

    Result<uint32_t> number(const YAML::Node& map, const char* key, int64_t least,
                            int64_t most) const {
        TENON_TRY(const int64_t value, reader_.integer(map, key, least, most));
        return static_cast<uint32_t>(value);
    }
    Result<uint32_t> number_or(const YAML::Node& map, const char* key, int64_t most,
                               int64_t fallback) const {
        TENON_TRY(const int64_t value, reader_.integer_or(map, key, 0, most, fallback));
        return static_cast<uint32_t>(value);
    }

    template <size_t N>
    Result<uint32_t> word(const char* key, const YAML::Node& map, const Word (&words)[N]) const {
        TENON_TRY(const std::string text, reader_.text(map, key, 32));
        std::vector<std::string_view> known;
        for (const Word& candidate : words) {
            if (candidate.text == text) return candidate.value;
            known.push_back(candidate.text);
        }
        return reader_.error(map[key], fmt::format("{} is '{}', wanted one of {}", key,
                                                   printable(text), fmt::join(known, ", ")));
    }

    const ManifestReader& reader_;
    const YAML::Node node_;
    DeclaredFormat made_;
};

}  // namespace

tenon_format DeclaredFormat::format() const {
    tenon_format f = numbers;
    f.id = {id.data(), id.size()};
    f.lut = lut.empty() ? nullptr : lut.data();
    f.lut_n = static_cast<uint32_t>(lut.size());
    f.n_code_fields = static_cast<uint32_t>(code_fields.size());
    f.n_scale_fields = static_cast<uint32_t>(scale_fields.size());
    f.n_min_fields = static_cast<uint32_t>(min_fields.size());
    f.code_fields = code_fields.data();
    f.scale_fields = scale_fields.data();
    f.min_fields = min_fields.data();
    return f;
}

Result<std::vector<DeclaredFormat>> read_formats(const ManifestReader& reader,
                                                 const YAML::Node& list) {
    if (!list.IsDefined() || !list.IsSequence() || list.size() < 1 ||
        list.size() > kManifestFormatsMax) {
        return reader.error(
            list, fmt::format("'formats' is no list of 1 to {} formats", kManifestFormatsMax));
    }
    std::vector<DeclaredFormat> formats;
    for (const YAML::Node& item : list) {
        TENON_TRY(DeclaredFormat format, FormatReader(reader, item).read());
        for (const DeclaredFormat& other : formats) {
            if (other.name == format.name || other.id == format.id ||
                other.gguf_type == format.gguf_type) {
                return reader.error(item,
                                    fmt::format("format '{}' has the name, id or gguf_type of "
                                                "'{}' ({})",
                                                format.name, other.name, other.where));
            }
        }
        formats.push_back(std::move(format));
    }
    return formats;
}

}  // namespace tenon::host
