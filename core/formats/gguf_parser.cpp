// parse_gguf: every byte of a hostile file is looked at here, front to back, before anyone uses it.
#include <algorithm>
#include <bit>
#include <numeric>

#include <fmt/format.h>

#include "core/formats/gguf.h"

namespace tenon::formats {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint32_t kAlignmentDefault = 32;
// Rows of every format may then be read as aligned 8-byte words.
constexpr uint32_t kAlignmentMin = 8;
// Key length, type and a one-byte value; name length, dimension count, one dimension, type, offset.
constexpr uint64_t kPairBytesMin = 8 + 4 + 1;
constexpr uint64_t kTensorBytesMin = 8 + 4 + 8 + 4 + 8;

template <class... Args>
Error invalid(fmt::format_string<Args...> format, Args&&... args) {
    return {Code::kInvalid, fmt::format(format, std::forward<Args>(args)...)};
}

// Indices 0 .. count - 1 sorted by name(i), equal names in file order.
template <class Name>
std::vector<uint32_t> sorted_by(size_t count, Name name) {
    std::vector<uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
        const int sign = name(a).compare(name(b));
        return sign != 0 ? sign < 0 : a < b;
    });
    return order;
}

}  // namespace

class GgufParser {
public:
    GgufParser(std::span<const std::byte> bytes, const GgufLimits& limits, const FormatTable& table)
        : bytes_(bytes), limits_(limits), table_(table), reader_(bytes) {}

    Result<GgufFile> parse() {
        TENON_CHECK(parse_header());
        TENON_CHECK(parse_pairs());
        TENON_CHECK(find_alignment());
        TENON_CHECK(parse_tensors());
        TENON_CHECK(place_tensors());
        TENON_CHECK(refuse_overlaps());
        return std::move(file_);
    }

private:
    Status parse_header() {
        TENON_TRY(const uint32_t magic, reader_.read<uint32_t>("the magic \"GGUF\""));
        if (magic != kMagic)
            return invalid(
                "not a GGUF file: it starts with \"{}\", wants \"GGUF\" (file offset 0x0)",
                printable(as_text(bytes_.first(4))));
        TENON_TRY(const uint32_t version, reader_.read<uint32_t>("the version"));
        if (version != 0 && (version & 0xffff) == 0)
            return Error{Code::kUnsupported,
                         fmt::format("the file is big-endian (version field {:#010x}); this reader "
                                     "wants little-endian GGUF (file offset 0x4)",
                                     version)};
        if (version < 2 || version > 3)
            return Error{
                Code::kUnsupported,
                fmt::format("GGUF version {} is not supported, wants 2 or 3 (file offset 0x4)",
                            version)};
        file_.version_ = version;
        TENON_TRY(tensor_count_, reader_.read<uint64_t>("the tensor count"));
        TENON_TRY(pair_count_, reader_.read<uint64_t>("the key-value count"));
        if (tensor_count_ > limits_.tensors_max)
            return invalid("{} tensors, the limit is {} (file offset 0x8)", tensor_count_,
                           limits_.tensors_max);
        if (pair_count_ > limits_.pairs_max)
            return invalid("{} key-value pairs, the limit is {} (file offset 0x10)", pair_count_,
                           limits_.pairs_max);
        const CheckedSize least =
            CheckedSize(pair_count_) * kPairBytesMin + CheckedSize(tensor_count_) * kTensorBytesMin;
        if (!least.fits(reader_.remaining()))
            return truncated(fmt::format("the index of {} key-value pairs and {} tensors",
                                         pair_count_, tensor_count_),
                             reader_.offset(), least.ok() ? least.value() : UINT64_MAX,
                             bytes_.size());
        return {};
    }

    Result<std::string_view> parse_string(const char* what, uint64_t length_max) {
        const uint64_t at = reader_.offset();
        TENON_TRY(const uint64_t length, reader_.read<uint64_t>(what));
        if (length > length_max && length <= reader_.remaining())
            return invalid("{} has {} bytes, the limit is {} (file offset {:#x})", what, length,
                           length_max, at);
        TENON_TRY(const auto text, reader_.take(length, what));
        return as_text(text);
    }

    Status within_metadata_limit() const {
        if (reader_.offset() <= limits_.metadata_bytes_max) return {};
        return invalid("metadata passes {} bytes, the limit", limits_.metadata_bytes_max);
    }

    Status parse_pairs() {
        file_.pairs_.reserve(pair_count_);
        for (uint64_t i = 0; i < pair_count_; ++i) {
            GgufPair pair;
            pair.offset = reader_.offset();
            auto key = parse_string("a key", limits_.key_bytes_max);
            if (!key.ok())
                return std::move(key).error().within(fmt::format("key-value pair {}", i));
            pair.key = *key;
            if (pair.key.empty())
                return invalid("key-value pair {} has an empty key (file offset {:#x})", i,
                               pair.offset);
            Status parsed = parse_value(pair.value);
            if (parsed.ok()) parsed = within_metadata_limit();
            if (!parsed.ok())
                return std::move(parsed).error().within(fmt::format("key {}", printable(pair.key)));
            file_.pairs_.push_back(pair);
        }
        file_.pairs_by_key_ =
            sorted_by(file_.pairs_.size(), [&](uint32_t i) { return file_.pairs_[i].key; });
        for (size_t i = 1; i < file_.pairs_by_key_.size(); ++i) {
            const GgufPair& first = file_.pairs_[file_.pairs_by_key_[i - 1]];
            const GgufPair& second = file_.pairs_[file_.pairs_by_key_[i]];
            if (first.key == second.key)
                return invalid("key {} is there twice (file offsets {:#x} and {:#x})",
                               printable(first.key), first.offset, second.offset);
        }
        return {};
    }

    Result<GgufType> parse_type(const char* what) {
        const uint64_t at = reader_.offset();
        TENON_TRY(const uint32_t number, reader_.read<uint32_t>(what));
        if (number > static_cast<uint32_t>(GgufType::kF64))
            return invalid("{} {} is unknown, wants 0 to 12 (file offset {:#x})", what, number, at);
        return static_cast<GgufType>(number);
    }

    Status check_bools(std::span<const std::byte> bytes, uint64_t at) {
        for (size_t i = 0; i < bytes.size(); ++i)
            if (bytes[i] > std::byte{1})
                return invalid("a bool is {}, wants 0 or 1 (file offset {:#x})",
                               static_cast<unsigned>(bytes[i]), at + i);
        return {};
    }

    Status parse_value(GgufValue& value) {
        TENON_TRY(value.type, parse_type("value type"));
        if (value.type == GgufType::kArray) return parse_array(value);
        if (value.type == GgufType::kString) {
            TENON_TRY(const std::string_view text,
                      parse_string("a string", limits_.string_bytes_max));
            value.bytes = std::as_bytes(std::span(text));
            return {};
        }
        const uint64_t at = reader_.offset();
        TENON_TRY(value.bytes, reader_.take(bytes_of(value.type), "a value"));
        return value.type == GgufType::kBool ? check_bools(value.bytes, at) : Status();
    }

    Status parse_array(GgufValue& value) {
        TENON_TRY(value.element, parse_type("array element type"));
        const uint64_t at = reader_.offset();
        if (value.element == GgufType::kArray)
            return Error{
                Code::kUnsupported,
                fmt::format("arrays of arrays are not supported (file offset {:#x})", at - 4)};
        TENON_TRY(value.count, reader_.read<uint64_t>("the array length"));
        const uint64_t element_bytes =
            value.element == GgufType::kString ? sizeof(uint64_t) : bytes_of(value.element);
        const CheckedSize least = CheckedSize(value.count) * element_bytes;
        if (!least.fits(reader_.remaining()))
            return truncated(fmt::format("an array of {} elements of type {}", value.count,
                                         name_of(value.element)),
                             reader_.offset(), least.ok() ? least.value() : UINT64_MAX,
                             bytes_.size());
        if (value.count > limits_.array_elements_max)
            return invalid("an array has {} elements, the limit is {} (file offset {:#x})",
                           value.count, limits_.array_elements_max, at);
        const uint64_t first = reader_.offset();
        if (value.element == GgufType::kString) {
            for (uint64_t i = 0; i < value.count; ++i)
                TENON_CHECK(parse_string("a string of an array", limits_.string_bytes_max));
            value.bytes = bytes_.subspan(first, reader_.offset() - first);
            return {};
        }
        TENON_TRY(value.bytes, reader_.take(least.value(), "an array"));
        return value.element == GgufType::kBool ? check_bools(value.bytes, first) : Status();
    }

    Status find_alignment() {
        TENON_TRY(file_.alignment_, file_.get_u32_or("general.alignment", kAlignmentDefault));
        if (!std::has_single_bit(file_.alignment_) || file_.alignment_ < kAlignmentMin ||
            file_.alignment_ > limits_.alignment_max)
            return invalid("general.alignment is {}, wants a power of two from {} to {}",
                           file_.alignment_, kAlignmentMin, limits_.alignment_max);
        return {};
    }

    Status parse_tensors() {
        file_.tensors_.reserve(tensor_count_);
        index_offsets_.reserve(tensor_count_);
        for (uint64_t i = 0; i < tensor_count_; ++i) {
            index_offsets_.push_back(reader_.offset());
            auto name = parse_string("a tensor name", limits_.name_bytes_max);
            if (!name.ok()) return std::move(name).error().within(fmt::format("tensor {}", i));
            GgufTensor tensor;
            tensor.name = *name;
            if (tensor.name.empty())
                return invalid("tensor {} has an empty name (file offset {:#x})", i,
                               index_offsets_.back());
            Status parsed = parse_tensor(tensor);
            if (parsed.ok()) parsed = within_metadata_limit();
            if (!parsed.ok())
                return std::move(parsed).error().within(
                    fmt::format("tensor {}", printable(tensor.name)));
            file_.tensors_.push_back(tensor);
        }
        file_.tensors_by_name_ =
            sorted_by(file_.tensors_.size(), [&](uint32_t i) { return file_.tensors_[i].name; });
        for (size_t i = 1; i < file_.tensors_by_name_.size(); ++i) {
            const uint32_t first = file_.tensors_by_name_[i - 1],
                           second = file_.tensors_by_name_[i];
            if (file_.tensors_[first].name == file_.tensors_[second].name)
                return invalid("tensor {} is there twice (file offsets {:#x} and {:#x})",
                               printable(file_.tensors_[first].name), index_offsets_[first],
                               index_offsets_[second]);
        }
        return {};
    }

    Status parse_tensor(GgufTensor& tensor) {
        const uint64_t dims_at = reader_.offset();
        TENON_TRY(tensor.dim_count, reader_.read<uint32_t>("the dimension count"));
        if (tensor.dim_count < 1 || tensor.dim_count > limits_.dims_max ||
            tensor.dim_count > std::size(tensor.dims))
            return invalid("it has {} dimensions, wants 1 to {} (file offset {:#x})",
                           tensor.dim_count, limits_.dims_max, dims_at);
        for (uint32_t d = 0; d < tensor.dim_count; ++d) {
            const uint64_t at = reader_.offset();
            TENON_TRY(tensor.dims[d], reader_.read<uint64_t>("a dimension"));
            if (tensor.dims[d] == 0) return invalid("dimension {} is 0 (file offset {:#x})", d, at);
        }
        const uint64_t type_at = reader_.offset();
        TENON_TRY(const uint32_t type, reader_.read<uint32_t>("the tensor type"));
        tensor.format = table_.find_gguf(type);
        if (!tensor.format && !limits_.takes_unknown_types) return unreadable_type(type, type_at);
        tensor.type = type;
        TENON_TRY(tensor.offset, reader_.read<uint64_t>("the data offset"));
        return {};
    }

    Status unreadable_type(uint32_t type, uint64_t at) const {
        const std::string_view name = gguf_type_name(type), refusal = table_.refusal(type);
        const std::string why = refusal.empty() ? std::string() : fmt::format("; {}", refusal);
        if (name.empty())
            return invalid("tensor type {} is unknown{} (file offset {:#x})", type, why, at);
        return Error{
            Code::kUnsupported,
            fmt::format("stored as {} (type {}), which is not supported{}; the formats read are "
                        "{} (file offset {:#x})",
                        name, type, why, table_.names(), at)};
    }

    // Turns offsets inside the data section into checked ranges of the file.
    Status place_tensors() {
        const CheckedSize data = align_up(reader_.offset(), file_.alignment_);
        file_.data_offset_ = data.value();
        uint64_t needed = 0;  // bytes the whole file needs
        const GgufTensor* cut = nullptr;
        for (size_t i = 0; i < file_.tensors_.size(); ++i) {
            GgufTensor& tensor = file_.tensors_[i];
            if (!tensor.format) {  // how long it is nobody knows
                const CheckedSize begin = data + tensor.offset;
                if (!begin.ok() || begin.value() > bytes_.size())
                    return invalid(
                        "tensor {} begins behind the end of the file (file offset {:#x})",
                        printable(tensor.name), index_offsets_[i]);
                tensor.offset = begin.value();
                continue;
            }
            const tenon_format& format = tensor.format->format;
            if (tensor.dims[0] % format.block_elems != 0)
                return invalid(
                    "tensor {} has {} columns; {} needs a multiple of {} (file offset {:#x})",
                    printable(tensor.name), tensor.dims[0], tensor.format->name, format.block_elems,
                    index_offsets_[i]);
            const CheckedSize size = stored_bytes(format, tensor.dims);
            const CheckedSize begin = data + tensor.offset;
            const CheckedSize end = begin + size;
            if (!end.ok())
                return invalid(
                    "tensor {} has a size that does not fit in 64 bits (file offset {:#x})",
                    printable(tensor.name), index_offsets_[i]);
            if (tensor.offset % file_.alignment_ != 0)
                return invalid(
                    "tensor {} lies at offset {:#x} of the data, wants a multiple of {} (file "
                    "offset {:#x})",
                    printable(tensor.name), tensor.offset, file_.alignment_, index_offsets_[i]);
            if (end.value() > bytes_.size()) {
                if (!cut) cut = &tensor;
                needed = std::max(needed, end.value());
                continue;
            }
            tensor.offset = begin.value();
            tensor.bytes = bytes_.subspan(begin.value(), size.value());
        }
        if (cut)
            return Error{
                Code::kData,
                fmt::format("truncated: the file needs {} bytes, has {} bytes; tensor {} is the "
                            "first that is cut",
                            needed, bytes_.size(), printable(cut->name))};
        return {};
    }

    Status refuse_overlaps() {
        std::vector<uint32_t> order(file_.tensors_.size());
        std::iota(order.begin(), order.end(), 0u);
        std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
            return file_.tensors_[a].offset < file_.tensors_[b].offset;
        });
        for (size_t i = 1; i < order.size(); ++i) {
            const GgufTensor& first = file_.tensors_[order[i - 1]];
            const GgufTensor& second = file_.tensors_[order[i]];
            if (first.offset + first.bytes.size() > second.offset)
                return invalid("tensors {} and {} overlap at file offset {:#x}",
                               printable(first.name), printable(second.name), second.offset);
        }
        return {};
    }

    std::span<const std::byte> bytes_;
    const GgufLimits& limits_;
    const FormatTable& table_;
    ByteReader reader_;
    GgufFile file_;
    uint64_t tensor_count_ = 0;
    uint64_t pair_count_ = 0;
    std::vector<uint64_t> index_offsets_;  // of each tensor's entry, for messages
};

Result<GgufFile> parse_gguf(std::span<const std::byte> bytes, const GgufLimits& limits,
                            const FormatTable& table) {
    return GgufParser(bytes, limits, table).parse();
}

Result<GgufFile> parse_gguf(std::span<const std::byte> bytes, const GgufLimits& limits) {
    return parse_gguf(bytes, limits, FormatTable());
}

}  // namespace tenon::formats
