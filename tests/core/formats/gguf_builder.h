// Writes GGUF files for tests, valid ones and ones that lie. Remembers where every number lies, so
// that a mutant can hit it.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/format_list.h"
#include "core/formats/gguf.h"

namespace tenon::formats {

// A number of the header: where it lies and how wide it is.
struct GgufField {
    size_t offset;
    size_t width;  // 4 or 8
};

struct BuiltGguf {
    std::string bytes;
    size_t header_bytes;  // magic to the end of the tensor index
    std::vector<GgufField> fields;
};

class GgufBuilder {
public:
    uint32_t version = 3;
    uint32_t alignment = 32;  // used for placing; stored only by number("general.alignment", ...)
    bool pad_last_tensor = true;  // writers differ

    template <class T>
    static std::string raw(T value) {
        std::string out(sizeof(T), '\0');
        std::memcpy(out.data(), &value, sizeof(T));
        return out;
    }
    template <class T>
    static constexpr GgufType type_of() {
        if constexpr (std::is_same_v<T, bool>)
            return GgufType::kBool;
        else if constexpr (std::is_same_v<T, uint8_t>)
            return GgufType::kU8;
        else if constexpr (std::is_same_v<T, int8_t>)
            return GgufType::kI8;
        else if constexpr (std::is_same_v<T, uint16_t>)
            return GgufType::kU16;
        else if constexpr (std::is_same_v<T, int16_t>)
            return GgufType::kI16;
        else if constexpr (std::is_same_v<T, uint32_t>)
            return GgufType::kU32;
        else if constexpr (std::is_same_v<T, int32_t>)
            return GgufType::kI32;
        else if constexpr (std::is_same_v<T, uint64_t>)
            return GgufType::kU64;
        else if constexpr (std::is_same_v<T, int64_t>)
            return GgufType::kI64;
        else if constexpr (std::is_same_v<T, float>)
            return GgufType::kF32;
        else
            return GgufType::kF64;
    }

    template <class T>
    GgufBuilder& number(std::string_view key, T value) {
        pair(key, type_of<T>());
        pairs_ += raw(value);
        return *this;
    }
    GgufBuilder& text(std::string_view key, std::string_view value) {
        pair(key, GgufType::kString);
        string(pairs_, pair_fields_, value);
        return *this;
    }
    template <class T>
    GgufBuilder& numbers(std::string_view key, const std::vector<T>& values) {
        pair(key, GgufType::kArray);
        field(pairs_, pair_fields_, static_cast<uint32_t>(type_of<T>()));
        field(pairs_, pair_fields_, static_cast<uint64_t>(values.size()));
        for (const T value : values)
            pairs_ += raw(value);
        return *this;
    }
    GgufBuilder& texts(std::string_view key, const std::vector<std::string>& values) {
        pair(key, GgufType::kArray);
        field(pairs_, pair_fields_, static_cast<uint32_t>(GgufType::kString));
        field(pairs_, pair_fields_, static_cast<uint64_t>(values.size()));
        for (const std::string& value : values)
            string(pairs_, pair_fields_, value);
        return *this;
    }
    // A pair whose type number and bytes are the caller's.
    GgufBuilder& pair_of(std::string_view key, uint32_t type, std::string_view bytes) {
        pair(key, static_cast<GgufType>(type));
        pairs_ += bytes;
        return *this;
    }

    // A tensor placed after the last one, its bytes drawn from `seed`.
    GgufBuilder& tensor(std::string_view name, std::string_view format,
                        const std::vector<uint64_t>& dims, uint64_t seed = 1) {
        const StoredFormat* stored = find_format(format);
        const uint64_t bytes = stored_bytes(stored->format, dims).value();
        data_.resize(align_up(data_.size(), alignment).value());
        tensor_at(name, stored->gguf_type, dims, data_.size());
        std::mt19937_64 random(seed);
        for (uint64_t i = 0; i < bytes; ++i)
            data_ += static_cast<char>(random());
        return *this;
    }
    // A tensor entry that says what the caller wants and brings no data.
    GgufBuilder& tensor_at(std::string_view name, uint32_t type, const std::vector<uint64_t>& dims,
                           uint64_t offset) {
        ++tensor_count_;
        string(tensors_, tensor_fields_, name);
        field(tensors_, tensor_fields_, static_cast<uint32_t>(dims.size()));
        for (const uint64_t dim : dims)
            field(tensors_, tensor_fields_, dim);
        field(tensors_, tensor_fields_, type);
        field(tensors_, tensor_fields_, offset);
        return *this;
    }

    BuiltGguf build() const {
        BuiltGguf out{"GGUF", 0, {}};
        field(out.bytes, out.fields, version);
        field(out.bytes, out.fields, tensor_count_);
        field(out.bytes, out.fields, pair_count_);
        append(out, pairs_, pair_fields_);
        append(out, tensors_, tensor_fields_);
        out.header_bytes = out.bytes.size();
        out.bytes.resize(align_up(out.bytes.size(), alignment).value());
        out.bytes += data_;
        if (pad_last_tensor) out.bytes.resize(align_up(out.bytes.size(), alignment).value());
        return out;
    }
    std::string bytes() const { return build().bytes; }

private:
    template <class T>
    static void field(std::string& out, std::vector<GgufField>& fields, T value) {
        fields.push_back({out.size(), sizeof(T)});
        out += raw(value);
    }
    static void string(std::string& out, std::vector<GgufField>& fields, std::string_view value) {
        field(out, fields, static_cast<uint64_t>(value.size()));
        out += value;
    }
    void pair(std::string_view key, GgufType type) {
        ++pair_count_;
        string(pairs_, pair_fields_, key);
        field(pairs_, pair_fields_, static_cast<uint32_t>(type));
    }
    static void append(BuiltGguf& out, const std::string& part,
                       const std::vector<GgufField>& fields) {
        for (const GgufField& f : fields)
            out.fields.push_back({out.bytes.size() + f.offset, f.width});
        out.bytes += part;
    }

    uint64_t pair_count_ = 0, tensor_count_ = 0;
    std::string pairs_, tensors_, data_;
    std::vector<GgufField> pair_fields_, tensor_fields_;
};

inline std::span<const std::byte> view(const std::string& bytes) {
    return std::as_bytes(std::span(bytes));
}

// A valid file with every value type, arrays, a small vocabulary and tensors of every format,
// shaped by the seed: version 2 or 3, any legal alignment, well under 1 MiB.
inline BuiltGguf random_gguf(uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t n) { return random() % n; };
    const auto word = [&](uint64_t length_max) {
        std::string out(1 + below(length_max), '\0');
        for (char& c : out)
            c = static_cast<char>('a' + below(26));
        return out;
    };
    GgufBuilder file;
    file.version = 2 + static_cast<uint32_t>(seed % 2);
    file.pad_last_tensor = below(2) == 0;
    if (below(2) == 0) {
        file.alignment = 8u << below(10);
        file.number("general.alignment", file.alignment);
    }
    file.text("general.architecture", "llama").text("general.name", word(40)).text("empty", "");
    file.number("v.u8", static_cast<uint8_t>(random()))
        .number("v.i8", static_cast<int8_t>(random()));
    file.number("v.u16", static_cast<uint16_t>(random()))
        .number("v.i16", static_cast<int16_t>(random()));
    file.number("v.u32", static_cast<uint32_t>(random()))
        .number("v.i32", static_cast<int32_t>(random()));
    file.number("v.u64", static_cast<uint64_t>(random()))
        .number("v.i64", static_cast<int64_t>(random()));
    file.number("v.f32", static_cast<float>(below(1000)) / 7)
        .number("v.f64", static_cast<double>(below(1000)) / 7);
    file.number("v.bool", below(2) == 0);
    file.numbers("a.u8", std::vector<uint8_t>(below(40), 7))
        .numbers("a.i8", std::vector<int8_t>(below(9), -7));
    file.numbers("a.u16", std::vector<uint16_t>(below(9), 7))
        .numbers("a.i16", std::vector<int16_t>(below(9), -7));
    file.numbers("a.u32", std::vector<uint32_t>(below(9), 7))
        .numbers("a.u64", std::vector<uint64_t>(below(9), 7));
    file.numbers("a.i64", std::vector<int64_t>(below(9), -7))
        .numbers("a.f64", std::vector<double>(below(9), 0.5));
    std::vector<bool> flags(below(9), true);
    file.numbers("a.bool", flags);
    std::vector<std::string> tokens(1 + below(300));
    for (size_t i = 0; i < tokens.size(); ++i)
        tokens[i] = word(12) + std::to_string(i);
    file.text("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", tokens);
    file.numbers("tokenizer.ggml.scores", std::vector<float>(tokens.size(), 0.25f));
    file.numbers("tokenizer.ggml.token_type", std::vector<int32_t>(tokens.size(), 1));
    file.texts("none", {});
    if (seed % 16 == 5)  // now and then a long index: sorting and searching must stay cheap
        for (uint64_t i = 0, n = below(6000); i < n; ++i)
            file.number(word(8) + "." + std::to_string(i), 1u);
    const uint64_t count = seed % 16 == 7 ? below(2000) : below(20);
    for (uint64_t i = 0; i < count; ++i) {
        const StoredFormat& format = stored_formats()[below(stored_formats().size())];
        std::vector<uint64_t> dims{format.format.block_elems * (1 + below(4))};
        while (dims.size() < 4 && below(2) == 0)
            dims.push_back(1 + below(5));
        file.tensor("blk." + std::to_string(i) + "." + word(20), format.name, dims, random());
    }
    return file.build();
}

// The parts of a valid split model, two to four.
inline std::vector<BuiltGguf> random_split_gguf(uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto count = static_cast<uint16_t>(2 + random() % 3);
    std::vector<uint64_t> tensors(count);
    int32_t total = 0;
    for (uint64_t& n : tensors)
        total += static_cast<int32_t>(n = random() % 6);
    std::vector<BuiltGguf> parts;
    uint64_t place = 0;
    for (uint16_t part = 0; part < count; ++part) {
        GgufBuilder file;
        if (part == 0 || random() % 2 == 0) file.text("general.architecture", "llama");
        if (part == 0) file.text("general.name", std::to_string(seed)).number("v.u32", 7u);
        if (random() % 4 == 0) {
            file.alignment = 64;
            file.number("general.alignment", file.alignment);
        }
        file.number("split.no", part).number("split.count", count);
        file.number("split.tensors.count", total);
        for (uint64_t i = 0; i < tensors[part]; ++i)
            file.tensor("blk." + std::to_string(place++), "q4_1", {32 * (1 + random() % 3), 3},
                        random());
        parts.push_back(file.build());
    }
    return parts;
}

}  // namespace tenon::formats
