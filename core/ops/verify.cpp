#include "core/ops/verify.h"

#include <fmt/format.h>

#include <vector>

#include "core/base/bytes.h"
#include "core/ops/op.h"

namespace tenon::ops {
namespace {

// Above every program of a real model; keeps a hostile count from costing memory.
constexpr uint32_t kElementsMax = 1u << 20;
// Elements of a value for the largest symbols; 2^46 floats are far above any device.
constexpr int64_t kExtentMax = int64_t{1} << 46;

Error invalid(std::string sentence) { return Error{Code::kInvalid, std::move(sentence)}; }

// The geometry that all nodes of a program share; zero until the first one tells it.
struct KvGeometry {
    uint32_t n_kv_heads = 0;
    uint32_t dim_k = 0;
    uint32_t dim_v = 0;
};

class Verifier {
public:
    explicit Verifier(const tenon_program& program) : program_(program) {}

    Status run() {
        TENON_CHECK(check_header());
        written_.assign(program_.n_values, false);
        slot_used_.assign(program_.n_slots, false);
        for (uint32_t i = 0; i < program_.n_symbols; ++i) {
            const tenon_symbol& symbol = symbol_at(program_, i);
            if (symbol.max > 0 && symbol.max <= kExtentMax) continue;
            return invalid(fmt::format("symbol '{}' has the maximum {}; wanted 1 .. {}",
                                       printable(text_of(symbol.name)), symbol.max, kExtentMax));
        }
        for (uint32_t i = 0; i < program_.n_values; ++i) {
            Status status = check_value(i);
            if (!status.ok()) return std::move(status).error().within(value_text(i));
        }
        for (uint32_t i = 0; i < program_.n_nodes; ++i)
            TENON_CHECK(check_node(node_at(program_, i)));
        for (uint32_t i = 0; i < program_.n_values; ++i) {
            if (value_at(program_, i).kind != TENON_VALUE_OUTPUT || written_[i]) continue;
            return invalid(value_text(i) + ": no node writes this output");
        }
        return {};
    }

private:
    std::string value_text(uint32_t index) const {
        return fmt::format("value {} '{}'", index,
                           printable(text_of(value_at(program_, index).name)));
    }

    Status check_header() const {
        if (program_.size != sizeof(tenon_program)) {
            return invalid(fmt::format("the program's size is {}; wanted {}", program_.size,
                                       sizeof(tenon_program)));
        }
        const auto stride_ok = [](uint32_t stride, size_t size) {
            return stride >= size && stride % 8 == 0 && stride <= 4096;
        };
        if (!stride_ok(program_.symbol_stride, sizeof(tenon_symbol)) ||
            !stride_ok(program_.value_stride, sizeof(tenon_value)) ||
            !stride_ok(program_.node_stride, sizeof(tenon_node))) {
            return invalid(
                "a stride of the program is smaller than its struct or no multiple of 8");
        }
        for (const uint32_t count :
             {program_.n_symbols, program_.n_values, program_.n_nodes, program_.n_slots}) {
            if (count > kElementsMax) {
                return invalid(fmt::format("the program counts {} of a kind; the limit is {}",
                                           count, kElementsMax));
            }
        }
        if ((program_.n_symbols > 0 && program_.symbols == nullptr) ||
            (program_.n_values > 0 && program_.values == nullptr) ||
            (program_.n_nodes > 0 && program_.nodes == nullptr)) {
            return invalid("an array of the program is null");
        }
        return {};
    }

    Status check_extents(const tenon_value& value) const {
        int64_t product = 1;
        for (uint32_t axis = 0; axis < value.rank; ++axis) {
            const tenon_dim& dim = value.dims[axis];
            int64_t extent = dim.add;
            if (dim.symbol != TENON_NONE) {
                if (dim.symbol >= program_.n_symbols) {
                    return invalid(fmt::format("dimension {} names symbol {}; there are {}", axis,
                                               dim.symbol, program_.n_symbols));
                }
                if (dim.mul < 1 || dim.add < 0) {
                    return invalid(fmt::format("dimension {} is {}; it may not shrink", axis,
                                               text_of(program_, dim_of(dim))));
                }
                if (__builtin_mul_overflow(symbol_at(program_, dim.symbol).max, int64_t{dim.mul},
                                           &extent) ||
                    __builtin_add_overflow(extent, dim.add, &extent)) {
                    extent = -1;
                }
            }
            if (extent < 1 || __builtin_mul_overflow(product, extent, &product) ||
                product > kExtentMax) {
                return invalid(
                    fmt::format("dimension {} has the extent {}; wanted 1 or more, and at "
                                "most {} elements in all",
                                axis, text_of(program_, dim_of(dim)), kExtentMax));
            }
        }
        return {};
    }

    Status check_value(uint32_t index) {
        const tenon_value& value = value_at(program_, index);
        if (value.size != sizeof(tenon_value)) {
            return invalid(
                fmt::format("its size is {}; wanted {}", value.size, sizeof(tenon_value)));
        }
        if (value.kind < TENON_VALUE_INPUT || value.kind > TENON_VALUE_STATE) {
            return invalid(fmt::format("kind {} is unknown", value.kind));
        }
        if (value.dtype < TENON_F32 || value.dtype > TENON_F64) {
            return invalid(fmt::format("dtype {} is unknown", value.dtype));
        }
        if (value.rank < 1 || value.rank > TENON_MAX_RANK) {
            return invalid(
                fmt::format("its rank is {}; wanted 1 .. {}", value.rank, TENON_MAX_RANK));
        }
        TENON_CHECK(check_extents(value));
        const bool bound = value.kind == TENON_VALUE_INPUT || value.kind == TENON_VALUE_OUTPUT;
        if (bound) {
            if (value.slot >= program_.n_slots) {
                return invalid(
                    fmt::format("its slot is {}; there are {}", value.slot, program_.n_slots));
            }
            if (slot_used_[value.slot]) {
                return invalid(fmt::format("slot {} belongs to another value", value.slot));
            }
            slot_used_[value.slot] = true;
        } else if (value.slot != TENON_NONE) {
            return invalid(
                fmt::format("it has slot {}; only inputs and outputs have one", value.slot));
        }
        if (value.kind == TENON_VALUE_WEIGHT) {
            if (value.weight == TENON_NONE)
                return invalid("a weight needs an entry of the weight set");
            if (value.dtype != TENON_F32 || value.rank > 2) {
                return invalid("a weight is f32 of rank 1 or 2, whatever is stored");
            }
            for (uint32_t axis = 0; axis < value.rank; ++axis) {
                if (value.dims[axis].symbol != TENON_NONE)
                    return invalid("a weight has constant extents");
            }
        } else if (value.weight != TENON_NONE) {
            return invalid(fmt::format("it names weight {}; only weights do", value.weight));
        }
        written_[index] = value.kind != TENON_VALUE_TEMP && value.kind != TENON_VALUE_OUTPUT;
        return {};
    }

    Status check_inputs(const NodeView& view, const OpDef& op) const {
        const tenon_node& node = view.node();
        if (node.n_inputs > op.inputs.size() || (node.n_inputs > 0 && node.inputs == nullptr)) {
            return view.error(fmt::format("it has {} inputs; there are at most {}", node.n_inputs,
                                          op.inputs.size()));
        }
        for (uint32_t port = 0; port < op.inputs.size(); ++port) {
            const Port& declared = op.inputs[port];
            const uint32_t index = port < node.n_inputs ? node.inputs[port] : TENON_NONE;
            if (index == TENON_NONE) {
                if (declared.optional) continue;
                return view.error(fmt::format("input {} is missing", declared.name));
            }
            if (index >= program_.n_values) {
                return view.error(fmt::format("{} is value {}; there are {}", declared.name, index,
                                              program_.n_values));
            }
            const uint32_t kind = value_at(program_, index).kind;
            if ((kind == TENON_VALUE_KV) != declared.kv || kind == TENON_VALUE_STATE) {
                return view.error(
                    fmt::format("{} {}", declared.name,
                                declared.kv ? "must be the KV pool" : "may not be a pool"));
            }
            if (!written_[index]) {
                return view.error(fmt::format("{} reads {} before a node writes it", declared.name,
                                              value_text(index)));
            }
        }
        return {};
    }

    Status check_outputs(const NodeView& view, const OpDef& op,
                         const std::vector<ValueType>& types) {
        const tenon_node& node = view.node();
        if (node.n_outputs > op.outputs.size() || (node.n_outputs > 0 && node.outputs == nullptr)) {
            return view.error(fmt::format("it has {} outputs; there are at most {}", node.n_outputs,
                                          op.outputs.size()));
        }
        for (uint32_t port = 0; port < op.outputs.size(); ++port) {
            const Port& declared = op.outputs[port];
            const uint32_t index = port < node.n_outputs ? node.outputs[port] : TENON_NONE;
            if (index == TENON_NONE) {
                if (declared.optional) continue;
                return view.error(fmt::format("output {} is missing", declared.name));
            }
            if (index >= program_.n_values) {
                return view.error(fmt::format("{} is value {}; there are {}", declared.name, index,
                                              program_.n_values));
            }
            const tenon_value& value = value_at(program_, index);
            if (value.kind != TENON_VALUE_TEMP && value.kind != TENON_VALUE_OUTPUT) {
                return view.error(fmt::format("{} writes {}, which is no temporary and no output",
                                              declared.name, value_text(index)));
            }
            if (written_[index]) {
                return view.error(
                    fmt::format("{} writes {} a second time", declared.name, value_text(index)));
            }
            TENON_CHECK(check_type(view, declared.name, value, types[port]));
            written_[index] = true;
        }
        return {};
    }

    Status check_type(const NodeView& view, const char* port, const tenon_value& value,
                      const ValueType& type) const {
        bool same =
            value.dtype == static_cast<uint32_t>(type.dtype) && value.rank == type.dims.size();
        for (uint32_t axis = 0; same && axis < value.rank; ++axis) {
            same = same_extent(dim_of(value.dims[axis]), type.dims[axis]);
        }
        if (same) return {};
        std::string wanted;
        for (const Dim& dim : type.dims) {
            if (!wanted.empty()) wanted += ',';
            wanted += text_of(program_, dim);
        }
        return view.error(fmt::format("{} is declared {}; the op makes {}[{}]", port,
                                      type_text(program_, value), dtype_text(type.dtype), wanted));
    }

    Status check_kv(const NodeView& view, const KvGeometry& here) {
        if (kv_.n_kv_heads == 0) kv_ = here;
        if (kv_.n_kv_heads == here.n_kv_heads && kv_.dim_k == here.dim_k &&
            kv_.dim_v == here.dim_v) {
            return {};
        }
        return view.error(fmt::format(
            "it wants a KV pool of {} heads of {} and {}, another node one "
            "of {} heads of {} and {}; a program has one pool",
            here.n_kv_heads, here.dim_k, here.dim_v, kv_.n_kv_heads, kv_.dim_k, kv_.dim_v));
    }

    Status check_node(const tenon_node& node) {
        const NodeView view(program_, node);
        if (node.size != sizeof(tenon_node)) {
            return view.error(
                fmt::format("its size is {}; wanted {}", node.size, sizeof(tenon_node)));
        }
        const OpDef* op = find_op(node.op);
        if (op == nullptr || node.op_version != 0) {
            return Error{Code::kUnsupported, fmt::format("{}: version {} of this op is not known",
                                                         view.where(), node.op_version)};
        }
        if (op->attr_bytes > 0) {
            if (node.attrs == nullptr) return view.error("its attributes are missing");
            const uint32_t size = *static_cast<const uint32_t*>(node.attrs);
            if (size != op->attr_bytes) {
                return view.error(
                    fmt::format("its attributes have {} bytes; wanted {}", size, op->attr_bytes));
            }
        }
        TENON_CHECK(check_inputs(view, *op));
        TENON_TRY(const std::vector<ValueType> types, op->infer(view));
        TENON_CHECK(check_outputs(view, *op, types));
        if (node.op == TENON_OP_ROPE_KV_WRITE) {
            const auto& attr = view.attr<tenon_attr_rope_kv_write>();
            TENON_CHECK(check_kv(view, {attr.n_kv_heads, attr.dim_k, attr.dim_v}));
        }
        if (node.op == TENON_OP_PAGED_ATTN) {
            const auto& attr = view.attr<tenon_attr_paged_attn>();
            TENON_CHECK(check_kv(view, {attr.n_kv_heads, attr.dim_k, attr.dim_v}));
        }
        return {};
    }

    const tenon_program& program_;
    std::vector<bool> written_;
    std::vector<bool> slot_used_;
    KvGeometry kv_;
};

}  // namespace

Status verify_program(const tenon_program& program) { return Verifier(program).run(); }

}  // namespace tenon::ops
