// Sized structs and strided arrays: the two ways in which callers hand data to a plugin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <tenon/sdk/status.hpp>

namespace tenon::sdk {

// Longest struct that a caller may hand in: a size above it is garbage, not a newer ABI.
constexpr uint32_t kStructBytesMax = 64 * 1024;

// Whether the caller's struct can be read as a T. Shorter is INVALID; a longer one is fine while its
// tail is zero, else UNSUPPORTED: a field that this plugin does not know is never ignored.
template <class T>
Status check_size(const T* object, const char* name) noexcept {
    if (object == nullptr) return fail(TENON_INVALID, "%s is null.", name);
    const uint32_t size = object->size;
    if (size == sizeof(T)) return Status();
    if (size < sizeof(T) || size > kStructBytesMax) {
        return fail(TENON_INVALID, "%s has size %u, this plugin needs %zu.", name, size, sizeof(T));
    }
    const unsigned char* bytes = reinterpret_cast<const unsigned char*>(object);
    for (uint32_t i = sizeof(T); i < size; ++i) {
        if (bytes[i] != 0) {
            return fail(TENON_UNSUPPORTED,
                        "%s has byte %u set, behind the %zu bytes that this plugin knows.", name, i,
                        sizeof(T));
        }
    }
    return Status();
}

// A caller's array whose elements may be longer than T. Not owned.
template <class T>
class Strided {
public:
    Strided(T* first, uint32_t count, uint32_t stride) noexcept
        : first_(first), count_(count), stride_(stride) {}

    uint32_t count() const noexcept { return count_; }
    T& operator[](uint32_t index) const noexcept {
        return *reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(first_) +
                                     static_cast<uintptr_t>(index) * stride_);
    }

    Status check(const char* name) const noexcept {
        if (count_ == 0) return Status();
        if (first_ == nullptr) return fail(TENON_INVALID, "%s is null.", name);
        if (stride_ < sizeof(T) || stride_ % alignof(T) != 0) {
            return fail(TENON_INVALID, "%s has stride %u, this plugin needs at least %zu.", name,
                        stride_, sizeof(T));
        }
        return Status();
    }

private:
    T* first_;
    uint32_t count_;
    uint32_t stride_;
};

// A caller's plain array. Not owned.
template <class T>
struct Span {
    T* first = nullptr;
    uint32_t count = 0;
    T* begin() const noexcept { return first; }
    T* end() const noexcept { return first + count; }
    T& operator[](uint32_t index) const noexcept { return first[index]; }
};

inline std::string_view view(tenon_str text) noexcept {
    return text.p == nullptr ? std::string_view() : std::string_view(text.p, text.n);
}
inline tenon_str str(std::string_view text) noexcept { return {text.data(), text.size()}; }

// The parts of a program, each checked against its stride by check_program.
inline const tenon_node& node_at(const tenon_program& program, uint32_t index) noexcept {
    return Strided<const tenon_node>(program.nodes, program.n_nodes, program.node_stride)[index];
}
inline const tenon_value& value_at(const tenon_program& program, uint32_t index) noexcept {
    return Strided<const tenon_value>(program.values, program.n_values,
                                      program.value_stride)[index];
}
inline const tenon_symbol& symbol_at(const tenon_program& program, uint32_t index) noexcept {
    return Strided<const tenon_symbol>(program.symbols, program.n_symbols,
                                       program.symbol_stride)[index];
}

// Extent of `dim` with these symbol values.
inline int64_t extent(const tenon_dim& dim, const int64_t* symbols) noexcept {
    return dim.symbol == TENON_NONE ? dim.add : symbols[dim.symbol] * dim.mul + dim.add;
}

// Bytes of one element; 0 for a number that is no tenon_dtype.
inline uint32_t dtype_bytes(uint32_t dtype) noexcept {
    switch (dtype) {
        case TENON_I8:
        case TENON_U8:
        case TENON_F8_E4M3:
        case TENON_F8_E5M2: return 1;
        case TENON_F16:
        case TENON_BF16: return 2;
        case TENON_F32:
        case TENON_I32:
        case TENON_U32: return 4;
        case TENON_I64:
        case TENON_U64:
        case TENON_F64: return 8;
        default: return 0;
    }
}

// Whether every index of the program stays inside its arrays, so that a backend may follow them.
inline Status check_program(const tenon_program* program) noexcept {
    TENON_SDK_CHECK(check_size(program, "tenon_program"));
    const tenon_program& p = *program;
    TENON_SDK_CHECK(Strided<const tenon_node>(p.nodes, p.n_nodes, p.node_stride).check("nodes"));
    TENON_SDK_CHECK(
        Strided<const tenon_value>(p.values, p.n_values, p.value_stride).check("values"));
    TENON_SDK_CHECK(
        Strided<const tenon_symbol>(p.symbols, p.n_symbols, p.symbol_stride).check("symbols"));
    for (uint32_t i = 0; i < p.n_values; ++i) {
        const tenon_value& value = value_at(p, i);
        TENON_SDK_CHECK(check_size(&value, "tenon_value"));
        if (value.rank > TENON_MAX_RANK) {
            return fail(TENON_INVALID, "Value %u has rank %u, at most %d are legal.", i, value.rank,
                        TENON_MAX_RANK);
        }
        for (uint32_t d = 0; d < value.rank; ++d) {
            if (value.dims[d].symbol != TENON_NONE && value.dims[d].symbol >= p.n_symbols) {
                return fail(TENON_INVALID, "Value %u names symbol %u of %u.", i,
                            value.dims[d].symbol, p.n_symbols);
            }
        }
        const bool bound = value.kind == TENON_VALUE_INPUT || value.kind == TENON_VALUE_OUTPUT;
        if (bound && value.slot >= p.n_slots) {
            return fail(TENON_INVALID, "Value %u names slot %u of %u.", i, value.slot, p.n_slots);
        }
    }
    for (uint32_t i = 0; i < p.n_nodes; ++i) {
        const tenon_node& node = node_at(p, i);
        TENON_SDK_CHECK(check_size(&node, "tenon_node"));
        for (uint32_t k = 0; k < node.n_inputs; ++k) {
            if (node.inputs[k] != TENON_NONE && node.inputs[k] >= p.n_values) {
                return fail(TENON_INVALID, "Input %u of node %u names value %u of %u.", k, i,
                            node.inputs[k], p.n_values)
                    .at_node(i);
            }
        }
        for (uint32_t k = 0; k < node.n_outputs; ++k) {
            if (node.outputs[k] != TENON_NONE && node.outputs[k] >= p.n_values) {
                return fail(TENON_INVALID, "Output %u of node %u names value %u of %u.", k, i,
                            node.outputs[k], p.n_values)
                    .at_node(i);
            }
        }
    }
    return Status();
}

}  // namespace tenon::sdk
