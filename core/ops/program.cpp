#include "core/ops/program.h"

#include <algorithm>
#include <cstring>
#include <deque>

namespace tenon::ops {

// Deques keep the addresses that the C structs point to.
struct Program::Storage {
    std::deque<std::string> names;
    std::deque<std::vector<uint32_t>> lists;
    std::deque<std::vector<uint64_t>> attrs;
    std::vector<tenon_symbol> symbols;
    std::vector<tenon_value> values;
    std::vector<tenon_node> nodes;
    uint32_t slots = 0;
    tenon_program view{};

    tenon_str name(std::string_view text) {
        const std::string& kept = names.emplace_back(text);
        return {kept.data(), kept.size()};
    }
    const uint32_t* list(std::vector<uint32_t> ids) {
        return lists.emplace_back(std::move(ids)).data();
    }
    const void* attr(const void* bytes, uint32_t size) {
        if (bytes == nullptr) return nullptr;
        auto& kept = attrs.emplace_back(size / sizeof(uint64_t) + 1);
        std::memcpy(kept.data(), bytes, size);
        return kept.data();
    }
};

Program::Program(std::unique_ptr<Storage> storage) : storage_(std::move(storage)) {}
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;
const tenon_program& Program::view() const noexcept { return storage_->view; }

ProgramBuilder::ProgramBuilder() : storage_(std::make_unique<Program::Storage>()) {}
ProgramBuilder::~ProgramBuilder() = default;

uint32_t ProgramBuilder::symbol(std::string_view name, int64_t max) {
    storage_->symbols.push_back({storage_->name(name), max});
    return static_cast<uint32_t>(storage_->symbols.size() - 1);
}

ValueId ProgramBuilder::add_value(tenon_value_kind kind, tenon_dtype dtype, std::string_view name,
                                  const std::vector<Dim>& dims) {
    tenon_value value{};
    value.size = sizeof value;
    value.kind = kind;
    value.dtype = dtype;
    value.rank = static_cast<uint32_t>(std::min<size_t>(dims.size(), TENON_MAX_RANK));
    for (uint32_t i = 0; i < value.rank; ++i) {
        value.dims[i] = {dims[i].symbol, dims[i].mul, dims[i].add};
    }
    value.slot = TENON_NONE;
    value.weight = TENON_NONE;
    value.name = storage_->name(name);
    storage_->values.push_back(value);
    return static_cast<ValueId>(storage_->values.size() - 1);
}

ValueId ProgramBuilder::input(std::string_view name, uint32_t slot, tenon_dtype dtype,
                              std::vector<Dim> dims) {
    const ValueId id = add_value(TENON_VALUE_INPUT, dtype, name, dims);
    storage_->values[id].slot = slot;
    storage_->slots = std::max(storage_->slots, slot + 1);
    return id;
}

ValueId ProgramBuilder::weight(std::string_view name, uint32_t entry, std::vector<Dim> dims) {
    const ValueId id = add_value(TENON_VALUE_WEIGHT, TENON_F32, name, dims);
    storage_->values[id].weight = entry;
    return id;
}

ValueId ProgramBuilder::kv() { return add_value(TENON_VALUE_KV, TENON_U8, "kv", {Dim(1)}); }

void ProgramBuilder::set_layer(uint32_t layer) { layer_ = layer; }

std::vector<Dim> ProgramBuilder::dims_of(ValueId value) const {
    const tenon_value& v = storage_->values[value];
    std::vector<Dim> dims;
    for (uint32_t i = 0; i < v.rank; ++i) {
        dims.push_back(v.dims[i].symbol == TENON_NONE
                           ? Dim(v.dims[i].add)
                           : Dim::of(v.dims[i].symbol, v.dims[i].mul, v.dims[i].add));
    }
    return dims;
}

ValueId ProgramBuilder::node(tenon_op op, std::string_view name, std::vector<ValueId> inputs,
                             std::vector<Output> outputs, const void* attrs, uint32_t attr_bytes) {
    std::vector<uint32_t> made;
    for (const Output& output : outputs) {
        made.push_back(add_value(TENON_VALUE_TEMP, output.dtype, output.name, output.dims));
    }
    const ValueId first = made.empty() ? kNoValue : made.front();
    tenon_node node{};
    node.size = sizeof node;
    node.op = op;
    node.n_inputs = static_cast<uint32_t>(inputs.size());
    node.n_outputs = static_cast<uint32_t>(made.size());
    node.layer = layer_;
    node.inputs = storage_->list(std::move(inputs));
    node.outputs = storage_->list(std::move(made));
    node.attrs = storage_->attr(attrs, attr_bytes);
    node.name = storage_->name(name);
    storage_->nodes.push_back(node);
    return first;
}

void ProgramBuilder::mark_output(ValueId value, uint32_t slot) {
    storage_->values[value].kind = TENON_VALUE_OUTPUT;
    storage_->values[value].slot = slot;
    storage_->slots = std::max(storage_->slots, slot + 1);
}

ValueId ProgramBuilder::embed(std::string_view name, ValueId table, ValueId ids, float scale) {
    const tenon_attr_embed attr{sizeof attr, scale};
    return node(TENON_OP_EMBED, name, {table, ids},
                {{std::string(name), TENON_F32, {dims_of(ids)[0], dims_of(table)[1]}}}, &attr,
                sizeof attr);
}

ValueId ProgramBuilder::rms_norm(std::string_view name, ValueId x, ValueId gain, float epsilon,
                                 ValueId residual, ValueId* sum, float gain_offset) {
    const tenon_attr_rms_norm attr{sizeof attr, epsilon, gain_offset};
    std::vector<Output> outputs{{std::string(name), TENON_F32, dims_of(x)}};
    if (sum != nullptr) outputs.push_back({std::string(name) + ".sum", TENON_F32, dims_of(x)});
    const ValueId y =
        node(TENON_OP_RMS_NORM, name, {x, gain, residual}, std::move(outputs), &attr, sizeof attr);
    if (sum != nullptr) *sum = y + 1;
    return y;
}

ValueId ProgramBuilder::matmul(std::string_view name, ValueId x, ValueId w, ValueId bias,
                               ValueId residual, float alpha) {
    const tenon_attr_matmul attr{sizeof attr, alpha};
    return node(TENON_OP_MATMUL, name, {x, w, bias, residual},
                {{std::string(name), TENON_F32, {dims_of(x)[0], dims_of(w)[0]}}}, &attr,
                sizeof attr);
}

ValueId ProgramBuilder::matmul_glu(std::string_view name, ValueId x, ValueId gate, ValueId up,
                                   tenon_activation activation) {
    const tenon_attr_matmul_glu attr{sizeof attr, static_cast<uint32_t>(activation)};
    return node(TENON_OP_MATMUL_GLU, name, {x, gate, up},
                {{std::string(name), TENON_F32, {dims_of(x)[0], dims_of(gate)[0]}}}, &attr,
                sizeof attr);
}

ValueId ProgramBuilder::rope_kv_write(std::string_view name, const RopeKvWrite& in,
                                      const tenon_attr_rope_kv_write& attr) {
    return node(
        TENON_OP_ROPE_KV_WRITE, name,
        {in.q, in.k, in.v, in.positions, in.kv_slot, in.inv_freq, in.kv, in.q_gain, in.k_gain},
        {{std::string(name), TENON_F32, dims_of(in.q)}}, &attr, sizeof attr);
}

ValueId ProgramBuilder::paged_attn(std::string_view name, ValueId q, ValueId kv,
                                   ValueId block_table, ValueId kv_len, ValueId q_start,
                                   const tenon_attr_paged_attn& attr, ValueId sinks) {
    return node(TENON_OP_PAGED_ATTN, name, {q, kv, block_table, kv_len, q_start, sinks},
                {{std::string(name),
                  TENON_F32,
                  {dims_of(q)[0], Dim(int64_t{attr.n_q_heads} * attr.dim_v)}}},
                &attr, sizeof attr);
}

ValueId ProgramBuilder::gather_rows(std::string_view name, ValueId x, ValueId rows) {
    return node(TENON_OP_GATHER_ROWS, name, {x, rows},
                {{std::string(name), TENON_F32, {dims_of(rows)[0], dims_of(x)[1]}}}, nullptr, 0);
}

ValueId ProgramBuilder::pool_rows(std::string_view name, ValueId x, ValueId q_start,
                                  tenon_pool_kind kind) {
    const tenon_attr_pool_rows attr{sizeof attr, static_cast<uint32_t>(kind)};
    Dim sequences = dims_of(q_start)[0];
    sequences.add -= 1;
    return node(TENON_OP_POOL_ROWS, name, {x, q_start},
                {{std::string(name), TENON_F32, {sequences, dims_of(x)[1]}}}, &attr, sizeof attr);
}

ValueId ProgramBuilder::add(std::string_view name, ValueId a, ValueId b) {
    return node(TENON_OP_ADD, name, {a, b}, {{std::string(name), TENON_F32, dims_of(a)}}, nullptr,
                0);
}

ValueId ProgramBuilder::mul(std::string_view name, ValueId a, ValueId b) {
    return node(TENON_OP_MUL, name, {a, b}, {{std::string(name), TENON_F32, dims_of(a)}}, nullptr,
                0);
}

ValueId ProgramBuilder::activation(std::string_view name, ValueId x, tenon_activation activation) {
    const tenon_attr_activation attr{sizeof attr, static_cast<uint32_t>(activation)};
    return node(TENON_OP_ACTIVATION, name, {x}, {{std::string(name), TENON_F32, dims_of(x)}}, &attr,
                sizeof attr);
}

ValueId ProgramBuilder::softcap(std::string_view name, ValueId x, float cap) {
    const tenon_attr_softcap attr{sizeof attr, cap};
    return node(TENON_OP_SOFTCAP, name, {x}, {{std::string(name), TENON_F32, dims_of(x)}}, &attr,
                sizeof attr);
}

ValueId ProgramBuilder::sample(std::string_view name, ValueId logits, const SampleInputs& in,
                               ValueId* logprob) {
    const tenon_attr_sample attr{sizeof attr, 0};
    const Dim rows = dims_of(logits)[0];
    std::vector<Output> outputs{{std::string(name), TENON_I32, {rows}}};
    if (logprob != nullptr) {
        outputs.push_back({std::string(name) + ".logprob", TENON_F32, {rows}});
    }
    const ValueId token =
        node(TENON_OP_SAMPLE, name,
             {logits, in.temperature, in.top_k, in.top_p, in.min_p, in.seed, in.position, in.mask},
             std::move(outputs), &attr, sizeof attr);
    if (logprob != nullptr) *logprob = token + 1;
    return token;
}

Program ProgramBuilder::build() {
    Program::Storage& s = *storage_;
    s.view.size = sizeof s.view;
    s.view.n_symbols = static_cast<uint32_t>(s.symbols.size());
    s.view.n_values = static_cast<uint32_t>(s.values.size());
    s.view.n_nodes = static_cast<uint32_t>(s.nodes.size());
    s.view.n_slots = s.slots;
    s.view.symbol_stride = sizeof(tenon_symbol);
    s.view.value_stride = sizeof(tenon_value);
    s.view.node_stride = sizeof(tenon_node);
    s.view.symbols = s.symbols.data();
    s.view.values = s.values.data();
    s.view.nodes = s.nodes.data();
    Program program(std::move(storage_));
    storage_ = std::make_unique<Program::Storage>();
    layer_ = TENON_NONE;
    return program;
}

}  // namespace tenon::ops
