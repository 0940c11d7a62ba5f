// GGUF v2 and v3, little endian: bytes to a checked index of metadata and tensors. Nothing is
// copied; every string and every tensor is a view into the bytes given, which must outlive the
// index. A model in several files (gguf_split.h) has one index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/mapped_file.h"
#include "core/base/result.h"
#include "core/formats/format_list.h"
#include "core/formats/format_table.h"

namespace tenon::formats {

// What a file may ask for at most; a file that wants more is refused before anything is allocated.
struct GgufLimits {
    uint64_t pairs_max = 65'536;
    uint64_t tensors_max = 65'536;
    uint32_t dims_max = 4;
    uint64_t name_bytes_max = 63;
    uint64_t key_bytes_max = 65'535;
    uint64_t string_bytes_max = 64ull << 20;
    uint64_t array_elements_max = 16ull << 20;
    uint32_t alignment_max = 64u << 10;
    uint64_t metadata_bytes_max = 512ull << 20;  // magic to the end of the tensor index
    uint32_t parts_max = 256;  // files of a split model, which together keep pairs_max, tensors_max
    // For listings: a tensor of a type that is not read gets a null format instead of a refusal.
    bool takes_unknown_types = false;
};

// Numbers as stored in the file.
enum class GgufType : uint32_t {
    kU8 = 0,
    kI8 = 1,
    kU16 = 2,
    kI16 = 3,
    kU32 = 4,
    kI32 = 5,
    kF32 = 6,
    kBool = 7,
    kString = 8,
    kArray = 9,
    kU64 = 10,
    kI64 = 11,
    kF64 = 12,
};

std::string_view name_of(GgufType type) noexcept;  // "u32", "string"
uint32_t bytes_of(GgufType type) noexcept;         // of a scalar; 0 for strings and arrays

// A checked metadata value as the file stores it.
struct GgufValue {
    GgufType type = GgufType::kU8;
    GgufType element = GgufType::kU8;  // of an array
    uint64_t count = 1;                // elements of an array
    std::span<const std::byte> bytes;  // the scalar, the text, or the array's elements back to back
};

// Readable form for listings: numbers, quoted text, "[49152 strings] \"a\", \"b\", ...". At most
// about `length_max` bytes, printable ASCII only.
std::string describe(const GgufValue& value, size_t length_max = 60);

struct GgufPair {
    std::string_view key;
    GgufValue value;
    uint64_t offset;  // of the key in the file
};

// Elements of a numeric array, read in place at any alignment.
template <class T>
class GgufArray {
public:
    GgufArray() = default;
    explicit GgufArray(const GgufValue& value) noexcept
        : data_(value.bytes.data()), size_(value.count) {}

    uint64_t size() const noexcept { return size_; }
    T operator[](uint64_t index) const noexcept {
        T value;
        std::memcpy(&value, data_ + index * sizeof(T), sizeof(T));
        return value;
    }

private:
    const std::byte* data_ = nullptr;
    uint64_t size_ = 0;
};

// The strings of an array, front to back; no index is built, so there is no random access.
class GgufStrings {
public:
    class Iterator {
    public:
        using value_type = std::string_view;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;
        using pointer = const std::string_view*;
        using reference = std::string_view;

        Iterator() = default;
        Iterator(const std::byte* at, uint64_t left) noexcept : at_(at), left_(left) {}

        std::string_view operator*() const noexcept {
            return {reinterpret_cast<const char*>(at_ + sizeof(uint64_t)), length()};
        }
        Iterator& operator++() noexcept {
            at_ += sizeof(uint64_t) + length();
            --left_;
            return *this;
        }
        Iterator operator++(int) noexcept {
            Iterator old = *this;
            ++*this;
            return old;
        }
        bool operator==(const Iterator& other) const noexcept { return left_ == other.left_; }

    private:
        uint64_t length() const noexcept {
            uint64_t length;
            std::memcpy(&length, at_, sizeof length);
            return length;
        }
        const std::byte* at_ = nullptr;
        uint64_t left_ = 0;
    };

    GgufStrings() = default;
    explicit GgufStrings(const GgufValue& value) noexcept
        : data_(value.bytes.data()), size_(value.count) {}

    uint64_t size() const noexcept { return size_; }
    Iterator begin() const noexcept { return {data_, size_}; }
    Iterator end() const noexcept { return {nullptr, 0}; }

private:
    const std::byte* data_ = nullptr;
    uint64_t size_ = 0;
};

struct GgufTensor {
    std::string_view name;
    // Of the FormatTable that the parser was given; null, with no bytes, for a type that is not read
    // (GgufLimits::takes_unknown_types).
    const StoredFormat* format = nullptr;
    uint32_t type = 0;  // as the file numbers it
    uint32_t dim_count = 0;
    uint64_t dims[4] = {1, 1, 1, 1};   // dims[0] = columns, contiguous; unused ones are 1
    uint64_t offset = 0;               // of the data, from the start of its file
    uint32_t part = 0;                 // its file, counted from 0; 0 unless the model is split
    std::span<const std::byte> bytes;  // the data

    uint64_t cols() const noexcept { return dims[0]; }
    uint64_t rows() const noexcept { return dims[1] * dims[2] * dims[3]; }
};

// A parsed file, or a split model: then pairs and the three numbers are those of its first part,
// tensors those of all parts in order. Every range in it was checked: inside the bytes, aligned, no
// two tensors overlapping, no key and no tensor name twice. Thread-safe for reading.
class GgufFile {
public:
    uint32_t part_count() const noexcept { return part_count_; }  // files; 1 unless split
    uint32_t version() const noexcept { return version_; }
    uint32_t alignment() const noexcept { return alignment_; }
    uint64_t data_offset() const noexcept { return data_offset_; }  // first byte of tensor data

    std::span<const GgufPair> pairs() const noexcept { return pairs_; }        // in file order
    std::span<const GgufTensor> tensors() const noexcept { return tensors_; }  // in file order

    const GgufValue* find(std::string_view key) const noexcept;           // null when absent
    const GgufTensor* find_tensor(std::string_view name) const noexcept;  // null when absent

    // Value of a key; the error names key, wanted and seen type. Integers convert between widths
    // and signs when the value fits; f32 accepts f64.
    Result<uint32_t> get_u32(std::string_view key) const;
    Result<uint64_t> get_u64(std::string_view key) const;
    Result<int32_t> get_i32(std::string_view key) const;
    Result<int64_t> get_i64(std::string_view key) const;
    Result<float> get_f32(std::string_view key) const;
    Result<bool> get_bool(std::string_view key) const;
    Result<std::string_view> get_string(std::string_view key) const;
    Result<GgufStrings> get_strings(std::string_view key) const;
    // Arrays must have exactly the element type T: int32_t, uint32_t or float.
    template <class T>
    Result<GgufArray<T>> get_array(std::string_view key) const;

    // The same, where an absent key means `fallback`; a wrong type is still an error.
    Result<uint32_t> get_u32_or(std::string_view key, uint32_t fallback) const;
    Result<float> get_f32_or(std::string_view key, float fallback) const;
    Result<bool> get_bool_or(std::string_view key, bool fallback) const;
    Result<std::string_view> get_string_or(std::string_view key, std::string_view fallback) const;

    Result<const GgufTensor*> get_tensor(std::string_view name) const;  // never null

private:
    friend class GgufParser;
    friend class GgufJoiner;
    template <class T>
    Result<T> get_integer(std::string_view key, std::string_view wanted) const;
    Result<const GgufValue*> get_array_of(std::string_view key, GgufType element) const;

    uint32_t version_ = 0;
    uint32_t part_count_ = 1;
    uint32_t alignment_ = 0;
    uint64_t data_offset_ = 0;
    std::vector<GgufPair> pairs_;
    std::vector<GgufTensor> tensors_;
    std::vector<uint32_t> pairs_by_key_;  // indices, sorted
    std::vector<uint32_t> tensors_by_name_;
};

// Checks and indexes a file given as its bytes; the formats that it may use are those of `table`,
// which must outlive the index (the one without a table: those of stored_formats()). kData:
// truncated ("needs X bytes, has Y"); kInvalid: contradicts itself or a limit; kUnsupported: a
// version or tensor type Tenon does not read. A part of a split model is a file like any other.
Result<GgufFile> parse_gguf(std::span<const std::byte> bytes, const GgufLimits& limits = {});
Result<GgufFile> parse_gguf(std::span<const std::byte> bytes, const GgufLimits& limits,
                            const FormatTable& table);

// An index together with what its views point into; moves keep the views valid.
struct LoadedGguf {
    FormatTable formats;
    MappedFile file;                // the first part of a split model
    std::vector<MappedFile> parts;  // the others, in order
    GgufFile gguf;

    // Gives the resident pages wholly inside `bytes`, a view into one of the files, back to the
    // system: see MappedFile::release.
    void release(std::span<const std::byte> bytes) const noexcept;
    // kData when a file changed on disk since it was opened.
    Status check_unchanged() const;
};

// Maps and parses the model at `path`: a file, or with any part of a split model all of its parts.
// Every error names the file that it is about.
Result<LoadedGguf> load_gguf(const std::string& path, const GgufLimits& limits = {},
                             FormatTable formats = {});

}  // namespace tenon::formats
