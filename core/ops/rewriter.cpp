#include "core/ops/rewriter.h"

#include <algorithm>

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

std::vector<Dim> dims_of(const tenon_value& value) {
    std::vector<Dim> dims;
    for (uint32_t axis = 0; axis < value.rank; ++axis)
        dims.push_back(dim_of(value.dims[axis]));
    return dims;
}

}  // namespace

Rewriter::Rewriter(const tenon_program& program)
    : program_(program),
      moved_(program.n_values, kNoValue),
      left_in_(program.n_values, TENON_NONE) {
    for (uint32_t i = 0; i < program.n_symbols; ++i) {
        const tenon_symbol& symbol = symbol_at(program, i);
        to_.symbol(text_of(symbol.name), symbol.max);
    }
    for (uint32_t i = 0; i < program.n_values; ++i) {
        const tenon_value& value = value_at(program, i);
        if (value.kind == TENON_VALUE_OUTPUT) left_in_[i] = value.slot;
    }
}

void Rewriter::take_from_slot(uint32_t index, uint32_t slot) {
    const tenon_value& value = value_at(program_, index);
    moved_[index] =
        to_.input(text_of(value.name), slot, static_cast<tenon_dtype>(value.dtype), dims_of(value));
}

void Rewriter::leave_in_slot(uint32_t value, uint32_t slot) { left_in_[value] = slot; }

void Rewriter::keep(const NodeView& view) {
    std::vector<ProgramBuilder::Output> outputs;
    const OpDef& op = *find_op(view.node().op);
    for (uint32_t port = 0; port < op.outputs.size(); ++port) {
        if (!view.has_output(port)) continue;
        const tenon_value& value = view.output(port);
        outputs.push_back({std::string(text_of(value.name)), static_cast<tenon_dtype>(value.dtype),
                           dims_of(value)});
    }
    std::vector<ValueId> inputs = inputs_of(view);
    to_.set_layer(view.node().layer);
    ValueId first =
        to_.node(static_cast<tenon_op>(op.number), text_of(view.node().name), std::move(inputs),
                 std::move(outputs), view.node().attrs, op.attr_bytes);
    for (uint32_t port = 0; port < op.outputs.size(); ++port) {
        if (view.has_output(port)) made(view.node().outputs[port], first++);
    }
}

Status Rewriter::split(const NodeView& view) {
    const OpDef& op = *find_op(view.node().op);
    const std::vector<ValueId> inputs = inputs_of(view);
    to_.set_layer(view.node().layer);
    std::vector<ValueId> parts;
    if (op.decompose != nullptr) parts = op.decompose(view, inputs, to_);
    if (parts.empty()) {
        return Error{Code::kUnsupported, view.where() + ": the op has no simpler parts"};
    }
    for (uint32_t port = 0; port < op.outputs.size(); ++port) {
        if (view.has_output(port)) made(view.node().outputs[port], parts[port]);
    }
    return {};
}

ValueId Rewriter::moved(uint32_t index) {
    if (moved_[index] != kNoValue) return moved_[index];
    const tenon_value& value = value_at(program_, index);
    if (value.kind == TENON_VALUE_INPUT) take_from_slot(index, value.slot);
    if (value.kind == TENON_VALUE_WEIGHT)
        moved_[index] = to_.weight(text_of(value.name), entry_of(value.weight), dims_of(value));
    if (value.kind == TENON_VALUE_KV) moved_[index] = to_.kv();
    return moved_[index];
}

uint32_t Rewriter::entry_of(uint32_t weight) {
    if (entries_ == nullptr) return weight;
    const auto known = std::find(entries_->begin(), entries_->end(), weight);
    const auto entry = static_cast<uint32_t>(known - entries_->begin());
    if (known == entries_->end()) entries_->push_back(weight);
    return entry;
}

std::vector<ValueId> Rewriter::inputs_of(const NodeView& view) {
    std::vector<ValueId> inputs(find_op(view.node().op)->inputs.size(), kNoValue);
    for (uint32_t port = 0; port < inputs.size(); ++port) {
        if (view.has(port)) inputs[port] = moved(view.node().inputs[port]);
    }
    return inputs;
}

void Rewriter::made(uint32_t value, ValueId as) {
    moved_[value] = as;
    if (left_in_[value] != TENON_NONE) to_.mark_output(as, left_in_[value]);
}

}  // namespace tenon::ops
