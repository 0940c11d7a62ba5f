#include "core/ops/decompose.h"

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

// Copies a program into a builder, value by value as nodes need them.
class Rewriter {
public:
    explicit Rewriter(const tenon_program& program)
        : program_(program), moved_(program.n_values, kNoValue) {
        for (uint32_t i = 0; i < program.n_symbols; ++i) {
            const tenon_symbol& symbol = symbol_at(program, i);
            to_.symbol(text_of(symbol.name), symbol.max);
        }
        for (uint32_t i = 0; i < program.n_values; ++i)
            declare(i);
    }

    void keep(const NodeView& view) {
        std::vector<ProgramBuilder::Output> outputs;
        const OpDef& op = *find_op(view.node().op);
        for (uint32_t port = 0; port < op.outputs.size(); ++port) {
            if (!view.has_output(port)) continue;
            const tenon_value& value = view.output(port);
            outputs.push_back({std::string(text_of(value.name)),
                               static_cast<tenon_dtype>(value.dtype), dims_of(value)});
        }
        to_.set_layer(view.node().layer);
        ValueId made =
            to_.node(static_cast<tenon_op>(op.number), text_of(view.node().name), inputs_of(view),
                     std::move(outputs), view.node().attrs, op.attr_bytes);
        for (uint32_t port = 0; port < op.outputs.size(); ++port) {
            if (view.has_output(port)) moved(view.node().outputs[port], made++);
        }
    }

    Status split(const NodeView& view) {
        const OpDef& op = *find_op(view.node().op);
        to_.set_layer(view.node().layer);
        std::vector<ValueId> made;
        if (op.decompose != nullptr) made = op.decompose(view, inputs_of(view), to_);
        if (made.empty()) {
            return Error{Code::kUnsupported, view.where() + ": the op has no simpler parts"};
        }
        for (uint32_t port = 0; port < op.outputs.size(); ++port) {
            if (view.has_output(port)) moved(view.node().outputs[port], made[port]);
        }
        return {};
    }

    Program build() { return to_.build(); }

private:
    static std::vector<Dim> dims_of(const tenon_value& value) {
        std::vector<Dim> dims;
        for (uint32_t axis = 0; axis < value.rank; ++axis)
            dims.push_back(dim_of(value.dims[axis]));
        return dims;
    }

    void declare(uint32_t index) {
        const tenon_value& value = value_at(program_, index);
        const std::string_view name = text_of(value.name);
        if (value.kind == TENON_VALUE_INPUT) {
            moved_[index] =
                to_.input(name, value.slot, static_cast<tenon_dtype>(value.dtype), dims_of(value));
        }
        if (value.kind == TENON_VALUE_WEIGHT) {
            moved_[index] = to_.weight(name, value.weight, dims_of(value));
        }
        if (value.kind == TENON_VALUE_KV) moved_[index] = to_.kv();
    }

    std::vector<ValueId> inputs_of(const NodeView& view) const {
        std::vector<ValueId> inputs(find_op(view.node().op)->inputs.size(), kNoValue);
        for (uint32_t port = 0; port < inputs.size(); ++port) {
            if (view.has(port)) inputs[port] = moved_[view.node().inputs[port]];
        }
        return inputs;
    }

    void moved(uint32_t from, ValueId to) {
        moved_[from] = to;
        const tenon_value& value = value_at(program_, from);
        if (value.kind == TENON_VALUE_OUTPUT) to_.mark_output(to, value.slot);
    }

    const tenon_program& program_;
    ProgramBuilder to_;
    std::vector<ValueId> moved_;  // value of program_ -> value of to_
};

}  // namespace

Result<Program> decompose_nodes(const tenon_program& program, const std::vector<bool>& chosen) {
    Rewriter rewriter(program);
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        const NodeView view(program, node_at(program, i));
        if (chosen[i]) {
            TENON_CHECK(rewriter.split(view));
        } else {
            rewriter.keep(view);
        }
    }
    return rewriter.build();
}

}  // namespace tenon::ops
