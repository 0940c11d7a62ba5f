// Values as bytes: the three visitors of a message's field list. Writer makes bytes, Reader takes
// them apart, Shape hashes what kind of field comes where.
//
// Numbers are little-endian and unpadded, a flag is one byte 0 or 1, a count is u32 before what it
// counts, the keys of a map ascend: a value has one encoding.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"

#include <fmt/format.h>

#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tenon::engine::wire {

inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kKeyBytesMax = 1u << 16;

// A field list takes `Ref<Io, T>`: const for the visitors that do not read.
template <class Io, class T>
using Ref = std::conditional_t<Io::kReads, T&, const T&>;

class Writer {
public:
    static constexpr bool kReads = false;

    explicit Writer(std::string& out) : out_(out) {}

    template <class T>
    void number(const T& value) {
        static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
        out_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
    void flag(bool value) { number<uint8_t>(value ? 1 : 0); }
    template <class E>
    void choice(const E& value, E, E) {
        number(static_cast<std::underlying_type_t<E>>(value));
    }
    void text(const std::string& value, const char* what, uint32_t max) {
        if (!count(value.size(), what, max)) return;
        out_ += value;
    }
    template <class T>
    void numbers(const std::vector<T>& values, const char* what, uint32_t max) {
        if (!count(values.size(), what, max)) return;
        out_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    }
    template <class T, class Each>
    void list(const std::vector<T>& values, const char* what, uint32_t max, Each&& each) {
        if (!count(values.size(), what, max)) return;
        for (const T& value : values)
            each(value);
    }
    template <class T, class Each>
    void map(const std::map<std::string, T>& values, const char* what, uint32_t max, Each&& each) {
        if (!count(values.size(), what, max)) return;
        for (const auto& [key, value] : values) {
            text(key, what, kKeyBytesMax);
            each(value);
        }
    }
    template <class T, class Each>
    void maybe(const std::optional<T>& value, Each&& each) {
        flag(value.has_value());
        if (value) each(*value);
    }
    void build(uint64_t (*fingerprint)()) {
        number(kVersion);
        number(fingerprint());
    }
    void name(const char*) {}

    Status take_status() { return std::move(status_); }

private:
    bool count(size_t size, const char* what, uint32_t max) {
        if (size > max) {
            if (status_.ok())
                status_ = Error{Code::kInvalid, fmt::format("{} has {} elements; an engine process "
                                                            "takes at most {}",
                                                            what, size, max)};
            return false;
        }
        number(static_cast<uint32_t>(size));
        return true;
    }

    std::string& out_;
    Status status_;
};

// After the first failure every read leaves its value alone.
class Reader {
public:
    static constexpr bool kReads = true;

    explicit Reader(std::string_view bytes) : bytes_(std::as_bytes(std::span(bytes))) {}

    template <class T>
    void number(T& value) {
        if (!status_.ok()) return;
        Result<T> read = bytes_.read<T>("a number");
        if (!read.ok()) {
            status_ = std::move(read).error();
            return;
        }
        value = *read;
    }
    void flag(bool& value) {
        uint8_t read = 0;
        number(read);
        if (read > 1) fail(fmt::format("a flag is {}; expected 0 or 1", read));
        value = read == 1;
    }
    template <class E>
    void choice(E& value, E min, E max) {
        using Number = std::underlying_type_t<E>;
        Number read = static_cast<Number>(min);
        number(read);
        if (read < static_cast<Number>(min) || read > static_cast<Number>(max))
            return fail(fmt::format("a choice is {}; expected {} to {}", read,
                                    static_cast<Number>(min), static_cast<Number>(max)));
        value = static_cast<E>(read);
    }
    void text(std::string& value, const char* what, uint32_t max) {
        const uint32_t size = count(what, max);
        if (const auto bytes = take(size, what); status_.ok()) value = as_text(bytes);
    }
    template <class T>
    void numbers(std::vector<T>& values, const char* what, uint32_t max) {
        const uint32_t size = count(what, max);
        const auto bytes = take(uint64_t{size} * sizeof(T), what);
        if (!status_.ok()) return;
        values.resize(size);
        if (size > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
    }
    template <class T, class Each>
    void list(std::vector<T>& values, const char* what, uint32_t max, Each&& each) {
        values.clear();
        for (uint32_t left = count(what, max); left > 0 && status_.ok(); --left)
            each(values.emplace_back());
    }
    template <class T, class Each>
    void map(std::map<std::string, T>& values, const char* what, uint32_t max, Each&& each) {
        values.clear();
        for (uint32_t left = count(what, max); left > 0 && status_.ok(); --left) {
            std::string key;
            text(key, what, kKeyBytesMax);
            if (!values.empty() && key <= values.rbegin()->first)
                return fail(fmt::format("{} has keys that do not ascend", what));
            each(values.emplace_hint(values.end(), std::move(key), T{})->second);
        }
    }
    template <class T, class Each>
    void maybe(std::optional<T>& value, Each&& each) {
        bool has = false;
        flag(has);
        if (has && status_.ok()) {
            each(value.emplace());
        } else {
            value.reset();
        }
    }
    void build(uint64_t (*fingerprint)()) {
        uint32_t version = 0;
        uint64_t print = 0;
        number(version);
        number(print);
        if (status_.ok() && (version != kVersion || print != fingerprint()))
            fail(
                fmt::format("the other process is of another build (protocol {} {:016x}; this one "
                            "speaks {} {:016x})",
                            version, print, kVersion, fingerprint()));
    }
    void name(const char*) {}

    // The first failure, or that bytes are left.
    Status finish() {
        if (status_.ok() && bytes_.remaining() > 0)
            fail(fmt::format("{} bytes follow its last field", bytes_.remaining()));
        return std::move(status_);
    }

private:
    void fail(std::string sentence) {
        if (status_.ok()) status_ = Error{Code::kData, std::move(sentence)};
    }
    uint32_t count(const char* what, uint32_t max) {
        uint32_t size = 0;
        number(size);
        if (size <= max) return size;
        fail(fmt::format("{} announces {} elements; at most {} are legal", what, size, max));
        return 0;
    }
    std::span<const std::byte> take(uint64_t size, const char* what) {
        if (!status_.ok()) return {};
        auto bytes = bytes_.take(size, what);
        if (bytes.ok()) return *bytes;
        status_ = std::move(bytes).error();
        return {};
    }

    ByteReader bytes_;
    Status status_;
};

// Hashes what kind of field comes where; visits one element of each list.
class Shape {
public:
    static constexpr bool kReads = false;

    template <class T>
    void number(const T&) {
        mix(std::is_floating_point_v<T> ? 'f' : std::is_signed_v<T> ? 'i' : 'u');
        mix(sizeof(T));
    }
    void flag(bool) { mix('b'); }
    template <class E>
    void choice(const E&, E, E max) {
        mix('e');
        mix(static_cast<uint64_t>(max));
    }
    void text(const std::string&, const char* what, uint32_t) { name(what); }
    template <class T>
    void numbers(const std::vector<T>&, const char* what, uint32_t) {
        name(what);
        number(T{});
    }
    template <class T, class Each>
    void list(const std::vector<T>&, const char* what, uint32_t, Each&& each) {
        name(what);
        const T sample{};
        each(sample);
    }
    template <class T, class Each>
    void map(const std::map<std::string, T>&, const char* what, uint32_t, Each&& each) {
        name(what);
        const T sample{};
        each(sample);
    }
    template <class T, class Each>
    void maybe(const std::optional<T>&, Each&& each) {
        mix('?');
        const T sample{};
        each(sample);
    }
    void build(uint64_t (*)()) { mix(kVersion); }
    void name(const char* text) {
        for (; *text != '\0'; ++text)
            mix(static_cast<unsigned char>(*text));
        mix(0);
    }
    void mix(uint64_t value) {
        for (int byte = 0; byte < 8; ++byte, value >>= 8)
            hash_ = (hash_ ^ (value & 0xff)) * 0x100000001b3;
    }
    uint64_t hash() const { return hash_; }

private:
    uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace tenon::engine::wire
