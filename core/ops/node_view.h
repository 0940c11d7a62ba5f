// Reading a tenon_program: its strides, its names, its dimensions as text.
//
// A NodeView is a program and one of its nodes. Borrows both; a value. Value indices inside the
// node must be valid: verify_program and Program see to that.
#pragma once

#include <tenon/abi.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/ops/program.h"

namespace tenon::ops {

// Element `index` of the program's arrays.
const tenon_symbol& symbol_at(const tenon_program& program, uint32_t index) noexcept;
const tenon_value& value_at(const tenon_program& program, uint32_t index) noexcept;
const tenon_node& node_at(const tenon_program& program, uint32_t index) noexcept;

inline std::string_view text_of(tenon_str text) noexcept { return {text.p, text.n}; }

// A dimension of the ABI as the builder's type; the factor of a constant is 1.
Dim dim_of(const tenon_dim& dim) noexcept;
bool same_extent(const Dim& a, const Dim& b) noexcept;

// The extent for these symbol values, one for each symbol of the program.
int64_t extent_of(const Dim& dim, const int64_t* symbols) noexcept;

// Bytes of one element of the dtypes that the ops of today use; 0 for others.
int64_t element_bytes(uint32_t dtype) noexcept;

// Bytes of `value` for these symbol values, one for each symbol of the program.
uint64_t bytes_of(const tenon_value& value, const int64_t* symbols) noexcept;

// "576", "T", "S+1", "2*T".
std::string text_of(const tenon_program& program, const Dim& dim);

// "f32[T,576]".
std::string type_text(const tenon_program& program, const tenon_value& value);

// "f32", or "dtype 77" for an unknown number.
std::string dtype_text(uint32_t dtype);

// What an op makes of its inputs: the type of one output.
struct ValueType {
    tenon_dtype dtype;
    std::vector<Dim> dims;
};

class NodeView {
public:
    NodeView(const tenon_program& program, const tenon_node& node) noexcept
        : program_(&program), node_(&node) {}

    const tenon_program& program() const noexcept { return *program_; }
    const tenon_node& node() const noexcept { return *node_; }

    // False for an optional input or output that is absent.
    bool has(uint32_t port) const noexcept;
    bool has_output(uint32_t port) const noexcept;
    const tenon_value& input(uint32_t port) const noexcept;
    const tenon_value& output(uint32_t port) const noexcept;
    Dim dim(uint32_t port, uint32_t axis) const noexcept { return dim_of(input(port).dims[axis]); }
    std::vector<Dim> dims(uint32_t port) const;

    // The node's attributes. Legal when the op declares sizeof(Attr) and verify has seen them.
    template <class Attr>
    const Attr& attr() const noexcept {
        return *static_cast<const Attr*>(node_->attrs);
    }

    // "matmul 'blk.0.attn_q'".
    std::string where() const;
    // kInvalid: where() and the sentence.
    Error error(const std::string& sentence) const;

    // The pieces of a shape rule. Each names the node, the input and both sides.
    Status expect_type(uint32_t port, tenon_dtype dtype, uint32_t rank) const;
    Status expect_weight(uint32_t port) const;
    // Axis `axis` of input `port` has extent `wanted`, which is what `what` is: "w has 512".
    Status expect_extent(uint32_t port, uint32_t axis, const Dim& wanted,
                         std::string_view what) const;
    // Axis `axis` of input `port` equals axis `other_axis` of input `other`.
    Status expect_equal(uint32_t port, uint32_t axis, uint32_t other, uint32_t other_axis) const;
    Status expect_same_shape(uint32_t port, uint32_t other) const;

private:
    const char* port_name(uint32_t port) const noexcept;
    std::string extent_text(uint32_t port, uint32_t axis) const;

    const tenon_program* program_;
    const tenon_node* node_;
};

}  // namespace tenon::ops
