#include "core/ops/node_view.h"

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/ops/op.h"

namespace tenon::ops {
namespace {

template <class T>
const T& element(const T* array, uint32_t stride, uint32_t index) noexcept {
    const auto* bytes = reinterpret_cast<const std::byte*>(array);
    return *reinterpret_cast<const T*>(bytes + uint64_t{stride} * index);
}

const char* axis_name(uint32_t rank, uint32_t axis) {
    if (axis + 1 == rank) return rank == 1 ? "elements" : "columns";
    return axis == 0 ? "rows" : "layers of rows";
}

}  // namespace

const tenon_symbol& symbol_at(const tenon_program& program, uint32_t index) noexcept {
    return element(program.symbols, program.symbol_stride, index);
}

const tenon_value& value_at(const tenon_program& program, uint32_t index) noexcept {
    return element(program.values, program.value_stride, index);
}

const tenon_node& node_at(const tenon_program& program, uint32_t index) noexcept {
    return element(program.nodes, program.node_stride, index);
}

Dim dim_of(const tenon_dim& dim) noexcept {
    return dim.symbol == TENON_NONE ? Dim(dim.add) : Dim::of(dim.symbol, dim.mul, dim.add);
}

bool same_extent(const Dim& a, const Dim& b) noexcept {
    return a.symbol == b.symbol && a.mul == b.mul && a.add == b.add;
}

int64_t extent_of(const Dim& dim, const int64_t* symbols) noexcept {
    return dim.symbol == TENON_NONE ? dim.add : symbols[dim.symbol] * dim.mul + dim.add;
}

std::string text_of(const tenon_program& program, const Dim& dim) {
    if (dim.symbol == TENON_NONE) return fmt::format("{}", dim.add);
    std::string text = printable(text_of(symbol_at(program, dim.symbol).name));
    if (dim.mul != 1) text = fmt::format("{}*{}", dim.mul, text);
    if (dim.add != 0) text += fmt::format("{:+}", dim.add);
    return text;
}

int64_t element_bytes(uint32_t dtype) noexcept {
    switch (dtype) {
        case TENON_F32:
        case TENON_I32:
        case TENON_U32: return 4;
        case TENON_U64:
        case TENON_I64: return 8;
        default: return 0;
    }
}

uint64_t bytes_of(const tenon_value& value, const int64_t* symbols) noexcept {
    int64_t bytes = element_bytes(value.dtype);
    for (uint32_t axis = 0; axis < value.rank; ++axis)
        bytes *= extent_of(dim_of(value.dims[axis]), symbols);
    return static_cast<uint64_t>(bytes);
}

std::string dtype_text(uint32_t dtype) {
    switch (dtype) {
        case TENON_F32: return "f32";
        case TENON_F16: return "f16";
        case TENON_BF16: return "bf16";
        case TENON_I8: return "i8";
        case TENON_U8: return "u8";
        case TENON_I32: return "i32";
        case TENON_U32: return "u32";
        case TENON_I64: return "i64";
        case TENON_U64: return "u64";
        case TENON_F8_E4M3: return "f8_e4m3";
        case TENON_F8_E5M2: return "f8_e5m2";
        case TENON_F64: return "f64";
        default: return fmt::format("dtype {}", dtype);
    }
}

std::string type_text(const tenon_program& program, const tenon_value& value) {
    std::string text = dtype_text(value.dtype) + "[";
    for (uint32_t axis = 0; axis < value.rank; ++axis) {
        if (axis > 0) text += ",";
        text += text_of(program, dim_of(value.dims[axis]));
    }
    return text + "]";
}

bool NodeView::has(uint32_t port) const noexcept {
    return port < node_->n_inputs && node_->inputs[port] != TENON_NONE;
}

bool NodeView::has_output(uint32_t port) const noexcept {
    return port < node_->n_outputs && node_->outputs[port] != TENON_NONE;
}

const tenon_value& NodeView::input(uint32_t port) const noexcept {
    return value_at(*program_, node_->inputs[port]);
}

const tenon_value& NodeView::output(uint32_t port) const noexcept {
    return value_at(*program_, node_->outputs[port]);
}

std::vector<Dim> NodeView::dims(uint32_t port) const {
    std::vector<Dim> dims;
    for (uint32_t axis = 0; axis < input(port).rank; ++axis)
        dims.push_back(dim(port, axis));
    return dims;
}

std::string NodeView::where() const {
    const OpDef* op = find_op(node_->op);
    const std::string name = printable(text_of(node_->name));
    if (op == nullptr) return fmt::format("op {} '{}'", node_->op, name);
    return fmt::format("{} '{}'", op->name, name);
}

Error NodeView::error(const std::string& sentence) const {
    return Error{Code::kInvalid, where() + ": " + sentence};
}

const char* NodeView::port_name(uint32_t port) const noexcept {
    const OpDef* op = find_op(node_->op);
    return op != nullptr && port < op->inputs.size() ? op->inputs[port].name : "input";
}

std::string NodeView::extent_text(uint32_t port, uint32_t axis) const {
    return fmt::format("{} has {} {}", port_name(port), text_of(*program_, dim(port, axis)),
                       axis_name(input(port).rank, axis));
}

Status NodeView::expect_type(uint32_t port, tenon_dtype dtype, uint32_t rank) const {
    const tenon_value& value = input(port);
    if (value.dtype == static_cast<uint32_t>(dtype) && value.rank == rank) return {};
    return error(fmt::format("{} is {}; it must be {} of rank {}", port_name(port),
                             type_text(*program_, value), dtype_text(dtype), rank));
}

Status NodeView::expect_weight(uint32_t port) const {
    TENON_CHECK(expect_type(port, TENON_F32, 2));
    if (input(port).kind == TENON_VALUE_WEIGHT) return {};
    return error(fmt::format("{} must be an entry of the weight set", port_name(port)));
}

Status NodeView::expect_extent(uint32_t port, uint32_t axis, const Dim& wanted,
                               std::string_view what) const {
    if (same_extent(dim(port, axis), wanted)) return {};
    return error(fmt::format("{}; it must have {}, {}", extent_text(port, axis),
                             text_of(*program_, wanted), what));
}

Status NodeView::expect_equal(uint32_t port, uint32_t axis, uint32_t other,
                              uint32_t other_axis) const {
    if (same_extent(dim(port, axis), dim(other, other_axis))) return {};
    return error(fmt::format("{}, {}; they must be equal", extent_text(port, axis),
                             extent_text(other, other_axis)));
}

Status NodeView::expect_same_shape(uint32_t port, uint32_t other) const {
    bool same = input(port).rank == input(other).rank;
    for (uint32_t axis = 0; same && axis < input(port).rank; ++axis) {
        same = same_extent(dim(port, axis), dim(other, axis));
    }
    if (same) return {};
    return error(fmt::format("{} is {}, {} is {}; they must be equal", port_name(port),
                             type_text(*program_, input(port)), port_name(other),
                             type_text(*program_, input(other))));
}

}  // namespace tenon::ops
