#include "core/ops/interpreter.h"

#include <tenon/reference/dequant.h>

#include <fmt/format.h>

#include <new>

#include "core/base/bytes.h"
#include "core/ops/op.h"
#include "core/ops/verify.h"

namespace tenon::ops {
namespace {

Error invalid(std::string sentence) { return Error{Code::kInvalid, std::move(sentence)}; }

Status check_kv(const NodeView& view, const reference::ReferenceKv* kv, uint32_t layer,
                uint32_t heads, uint32_t dim_k, uint32_t dim_v) {
    if (kv == nullptr) return view.error("the program needs a KV pool");
    if (layer >= kv->n_layers) {
        return view.error(fmt::format("it is layer {} of a pool of {}", layer, kv->n_layers));
    }
    if (heads != kv->n_kv_heads || dim_k != kv->dim_k || dim_v != kv->dim_v) {
        return view.error(
            fmt::format("it wants {} heads of {} and {}; the pool has {} of {} and {}", heads,
                        dim_k, dim_v, kv->n_kv_heads, kv->dim_k, kv->dim_v));
    }
    return {};
}

Status check_pool(const tenon_program& program, const reference::ReferenceKv* kv) {
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        const NodeView view(program, node_at(program, i));
        if (view.node().op == TENON_OP_ROPE_KV_WRITE) {
            const auto& a = view.attr<tenon_attr_rope_kv_write>();
            TENON_CHECK(check_kv(view, kv, a.layer, a.n_kv_heads, a.dim_k, a.dim_v));
        }
        if (view.node().op == TENON_OP_PAGED_ATTN) {
            const auto& a = view.attr<tenon_attr_paged_attn>();
            TENON_CHECK(check_kv(view, kv, a.layer, a.n_kv_heads, a.dim_k, a.dim_v));
        }
    }
    return {};
}

}  // namespace

HostKv::HostKv(const tenon_kv_desc& desc) {
    view_.n_layers = desc.n_layers;
    view_.n_kv_heads = desc.n_kv_heads;
    view_.dim_k = desc.dim_k;
    view_.dim_v = desc.dim_v;
    view_.block_tokens = desc.block_tokens;
    view_.n_blocks = desc.n_blocks;
    view_.dtype = desc.dtype;
    data_.assign(static_cast<size_t>(view_.elements()), 0.0f);
    view_.data = data_.data();
}

Result<Interpreter> Interpreter::create(const tenon_program& program,
                                        std::span<const StoredWeight> weights,
                                        const reference::ReferenceKv* kv) {
    TENON_CHECK(verify_program(program));
    TENON_CHECK(check_pool(program, kv));
    Interpreter made(program);
    made.kv_ = kv;
    made.arrays_.resize(program.n_values);
    for (uint32_t i = 0; i < program.n_values; ++i) {
        if (value_at(program, i).kind == TENON_VALUE_WEIGHT) TENON_CHECK(made.decode(i, weights));
    }
    return made;
}

Status Interpreter::decode(uint32_t index, std::span<const StoredWeight> weights) {
    const tenon_value& value = value_at(*program_, index);
    const std::string name = printable(text_of(value.name));
    if (value.weight >= weights.size()) {
        return invalid(fmt::format("weight '{}' is entry {}; the set has {}", name, value.weight,
                                   weights.size()));
    }
    const StoredWeight& stored = weights[value.weight];
    const char* problem = reference::format_problem(stored.format);
    if (problem != nullptr) return invalid(fmt::format("weight '{}': {}", name, problem));
    Array& array = arrays_[index];
    array.count = 1;
    for (uint32_t axis = 0; axis < value.rank; ++axis) {
        array.dims[axis] = value.dims[axis].add;
        array.count *= array.dims[axis];
    }
    const int64_t blocks = stored.cols / stored.format.block_elems;
    const int64_t row_bytes = blocks * stored.format.block_bytes;
    if (stored.rows < 1 || stored.cols < 1 || stored.cols % stored.format.block_elems != 0 ||
        array.dims[value.rank - 1] != stored.cols || array.count != stored.rows * stored.cols ||
        stored.bytes.size() != static_cast<uint64_t>(row_bytes * stored.rows)) {
        return invalid(fmt::format("weight '{}' is {}; stored are {} rows of {} in {} bytes", name,
                                   type_text(*program_, value), stored.rows, stored.cols,
                                   stored.bytes.size()));
    }
    array.storage.resize(static_cast<size_t>(array.count + 1) / 2);
    array.data = array.storage.data();
    for (int64_t row = 0; row < stored.rows; ++row) {
        reference::dequant_row(stored.format, stored.bytes.data() + row * row_bytes, stored.cols,
                               static_cast<float*>(array.data) + row * stored.cols);
    }
    return {};
}

Status Interpreter::bind(std::span<const int64_t> symbols,
                         std::span<const std::span<std::byte>> buffers) {
    if (symbols.size() != program_->n_symbols || buffers.size() != program_->n_slots) {
        return invalid(fmt::format("the program has {} symbols and {} slots; bound are {} and {}",
                                   program_->n_symbols, program_->n_slots, symbols.size(),
                                   buffers.size()));
    }
    for (uint32_t i = 0; i < symbols.size(); ++i) {
        const tenon_symbol& symbol = symbol_at(*program_, i);
        if (symbols[i] >= 0 && symbols[i] <= symbol.max) continue;
        return invalid(fmt::format("symbol '{}' is {}; wanted 0 .. {}",
                                   printable(text_of(symbol.name)), symbols[i], symbol.max));
    }
    for (uint32_t i = 0; i < program_->n_values; ++i) {
        const tenon_value& value = value_at(*program_, i);
        if (value.kind == TENON_VALUE_WEIGHT || value.kind == TENON_VALUE_KV) continue;
        Array& array = arrays_[i];
        array.count = 1;
        for (uint32_t axis = 0; axis < value.rank; ++axis) {
            array.dims[axis] = extent_of(dim_of(value.dims[axis]), symbols.data());
            array.count *= array.dims[axis];
        }
        const int64_t bytes = array.count * element_bytes(value.dtype);
        if (value.kind == TENON_VALUE_TEMP) {
            array.storage.assign(static_cast<size_t>(bytes + 7) / 8, 0);
            array.data = array.storage.data();
            continue;
        }
        const std::span<std::byte> buffer = buffers[value.slot];
        if (buffer.size() < static_cast<uint64_t>(bytes)) {
            return invalid(fmt::format("'{}' needs {} bytes; the buffer of slot {} has {}",
                                       printable(text_of(value.name)), bytes, value.slot,
                                       buffer.size()));
        }
        array.data = buffer.data();
    }
    return {};
}

Status Interpreter::run(std::span<const int64_t> symbols,
                        std::span<const std::span<std::byte>> buffers) {
    TENON_CHECK(bind(symbols, buffers));
    const auto array_of = [&](uint32_t index) {
        HostArray array;
        array.data = arrays_[index].data;
        array.rank = value_at(*program_, index).rank;
        for (uint32_t axis = 0; axis < array.rank; ++axis) {
            array.dims[axis] = arrays_[index].dims[axis];
        }
        return array;
    };
    for (uint32_t i = 0; i < program_->n_nodes; ++i) {
        const NodeView view(*program_, node_at(*program_, i));
        const OpDef& op = *find_op(view.node().op);
        std::vector<HostArray> inputs(op.inputs.size());
        std::vector<HostArray> outputs(op.outputs.size());
        for (uint32_t port = 0; port < inputs.size(); ++port) {
            if (view.has(port)) inputs[port] = array_of(view.node().inputs[port]);
        }
        for (uint32_t port = 0; port < outputs.size(); ++port) {
            if (view.has_output(port)) outputs[port] = array_of(view.node().outputs[port]);
        }
        TENON_CHECK(op.run({view, inputs, outputs, kv_}));
    }
    return {};
}

std::span<const float> Interpreter::result_of(ValueId value) const noexcept {
    if (value >= arrays_.size()) return {};
    const tenon_value& type = value_at(*program_, value);
    const bool made = type.kind == TENON_VALUE_TEMP || type.kind == TENON_VALUE_OUTPUT;
    if (!made || type.dtype != TENON_F32 || arrays_[value].data == nullptr) return {};
    return {static_cast<const float*>(arrays_[value].data),
            static_cast<size_t>(arrays_[value].count)};
}

}  // namespace tenon::ops
