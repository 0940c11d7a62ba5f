#include "backends/common/program_reader.h"

#include <algorithm>

namespace tenon::common {
namespace {

constexpr uint64_t kValueBytesMax = uint64_t{1} << 40;

class Reader {
public:
    Reader(const tenon_program& program, const ProgramParts& parts, ReadProgram& read)
        : program_(program), parts_(parts), read_(read) {}

    sdk::Status take_values();
    sdk::Status take_nodes();
    void take_bound();

private:
    sdk::Status take_extents(uint32_t index, ProgramValue& value) const;
    sdk::Status check_plain(const ProgramNode& node) const;
    sdk::Status check_matrix(const ProgramNode& node, uint32_t port) const;
    sdk::Status check_kv(uint32_t heads, uint32_t dim_k, uint32_t dim_v, uint32_t layer) const;
    sdk::Status check_weights(const ProgramNode& node) const;

    const tenon_program& program_;
    const ProgramParts& parts_;
    ReadProgram& read_;
};

sdk::Status Reader::take_extents(uint32_t index, ProgramValue& value) const {
    const sdk::Status illegal = sdk::fail(TENON_INVALID, "Value %u has an illegal extent.", index);
    value.cols = 1;
    for (uint32_t d = 1; d < value.rank; ++d)
        if (value.dims[d].add <= 0 ||
            __builtin_mul_overflow(value.cols, static_cast<uint64_t>(value.dims[d].add),
                                   &value.cols))
            return illegal;
    if (value.kind == TENON_VALUE_WEIGHT && value.rank > 0 && value.dims[0].symbol != TENON_NONE)
        return illegal;
    const StepBounds& bounds = read_.bounds;
    for (uint32_t b = 0; b < bounds.n_buckets && value.rank > 0; ++b) {
        const tenon_dim& rows = value.dims[0];
        int64_t most = rows.add;
        // Below 2^62: symbols have 30 bits, factors 32.
        const int64_t grown =
            rows.symbol == TENON_NONE ? 0 : bounds.symbols_max(b)[rows.symbol] * rows.mul;
        if (grown != 0 && __builtin_add_overflow(grown, rows.add, &most)) return illegal;
        // A falling extent is largest where its symbol is 0.
        value.rows_max = std::max({value.rows_max, most, rows.add});
    }
    if (value.kind == TENON_VALUE_KV) return {};
    uint64_t bytes = sdk::dtype_bytes(value.dtype);
    if (value.cols > UINT32_MAX || __builtin_mul_overflow(bytes, value.cols, &bytes) ||
        __builtin_mul_overflow(bytes, static_cast<uint64_t>(value.rows_max), &bytes) ||
        bytes > kValueBytesMax)
        return sdk::fail(TENON_UNSUPPORTED, "Value %u has %lld rows of %llu elements.", index,
                         static_cast<long long>(value.rows_max),
                         static_cast<unsigned long long>(value.cols));
    return {};
}

sdk::Status Reader::take_values() {
    for (uint32_t i = 0; i < program_.n_values; ++i) {
        const tenon_value& source = sdk::value_at(program_, i);
        ProgramValue value;
        value.kind = source.kind;
        value.dtype = source.dtype;
        value.slot = source.slot;
        value.weight = source.weight;
        value.rank = source.rank;
        for (uint32_t d = 0; d < source.rank; ++d)
            value.dims[d] = source.dims[d];
        TENON_SDK_CHECK(take_extents(i, value));
        TENON_SDK_CHECK(check_source(source, i, parts_));
        read_.values.push_back(value);
    }
    return {};
}

bool is_matrix_port(uint32_t op, uint32_t port) noexcept {
    switch (op) {
        case TENON_OP_EMBED: return port == 0;
        case TENON_OP_MATMUL: return port == 1;
        case TENON_OP_MATMUL_GLU: return port == 1 || port == 2;
        default: return false;
    }
}

// Weights that are read as floats (gains, biases, frequencies) were put for that use.
sdk::Status Reader::check_plain(const ProgramNode& node) const {
    for (uint32_t port = 0; port < kInputsMax; ++port) {
        if (node.in[port] == TENON_NONE || is_matrix_port(node.op, port)) continue;
        const ProgramValue& value = read_.values[node.in[port]];
        if (value.kind != TENON_VALUE_WEIGHT) continue;
        const WeightShape& weight = parts_.weights[value.weight];
        const uint64_t count = static_cast<uint64_t>(value.dims[0].add) * value.cols;
        if (!weight.plain || uint64_t{weight.rows} * weight.cols != count)
            return sdk::fail(TENON_INVALID,
                             "Weight %u is read as %llu floats; it was put as %u x %u%s.",
                             value.weight, static_cast<unsigned long long>(count), weight.rows,
                             weight.cols, weight.plain ? "" : ", not for elementwise use");
    }
    return {};
}

sdk::Status Reader::check_matrix(const ProgramNode& node, uint32_t port) const {
    const ProgramValue& value = read_.values[node.in[port]];
    const WeightShape& weight = parts_.weights[value.weight];
    const bool embeds = node.op == TENON_OP_EMBED;
    if (!weight.matrix || weight.rows != value.dims[0].add || weight.cols != value.cols)
        return sdk::fail(TENON_INVALID, "Weight %u is %u x %u, the program has it as %lld x %llu.",
                         value.weight, weight.rows, weight.cols,
                         static_cast<long long>(value.dims[0].add),
                         static_cast<unsigned long long>(value.cols));
    const uint64_t x_cols = embeds ? weight.cols : read_.values[node.in[0]].cols;
    if (x_cols != weight.cols)
        return sdk::fail(TENON_INVALID, "A matmul's x has %llu columns, its weight %u.",
                         static_cast<unsigned long long>(x_cols), weight.cols);
    const uint32_t gives = embeds ? weight.cols : weight.rows;
    if (read_.values[node.out[0]].cols != gives)
        return sdk::fail(TENON_INVALID,
                         "Weight %u gives rows of %u elements, the program has %llu.", value.weight,
                         gives, static_cast<unsigned long long>(read_.values[node.out[0]].cols));
    return {};
}

sdk::Status Reader::check_kv(uint32_t heads, uint32_t dim_k, uint32_t dim_v, uint32_t layer) const {
    if (parts_.kv == nullptr)
        return sdk::fail(TENON_INVALID, "The program reads a KV pool, but none is bound.");
    const tenon_kv_desc& kv = *parts_.kv;
    if (kv.n_kv_heads != heads || kv.dim_k != dim_k || kv.dim_v != dim_v || layer >= kv.n_layers)
        return sdk::fail(TENON_INVALID,
                         "The program wants layer %u of %u heads of %u and %u; the KV pool has %u "
                         "layers of %u heads of %u and %u.",
                         layer, heads, dim_k, dim_v, kv.n_layers, kv.n_kv_heads, kv.dim_k,
                         kv.dim_v);
    return {};
}

sdk::Status Reader::check_weights(const ProgramNode& node) const {
    TENON_SDK_CHECK(check_plain(node));
    for (uint32_t port = 0; port < kInputsMax; ++port)
        if (is_matrix_port(node.op, port)) TENON_SDK_CHECK(check_matrix(node, port));
    if (node.op == TENON_OP_ROPE_KV_WRITE) {
        const auto& attr = node.attr<tenon_attr_rope_kv_write>();
        return check_kv(attr.n_kv_heads, attr.dim_k, attr.dim_v, attr.layer);
    }
    if (node.op == TENON_OP_PAGED_ATTN) {
        const auto& attr = node.attr<tenon_attr_paged_attn>();
        return check_kv(attr.n_kv_heads, attr.dim_k, attr.dim_v, attr.layer);
    }
    return {};
}

sdk::Status Reader::take_nodes() {
    for (uint32_t i = 0; i < program_.n_nodes; ++i) {
        TENON_SDK_CHECK(check_node(program_, i).at_node(i));
        const tenon_node& source = sdk::node_at(program_, i);
        ProgramNode node;
        node.op = source.op;
        node.attrs = source.attrs;
        for (uint32_t port = 0; port < kInputsMax; ++port)
            node.in[port] = port < source.n_inputs ? source.inputs[port] : TENON_NONE;
        for (uint32_t port = 0; port < kOutputsMax; ++port)
            node.out[port] = port < source.n_outputs ? source.outputs[port] : TENON_NONE;
        TENON_SDK_CHECK(check_weights(node).at_node(i));
        read_.nodes.push_back(node);
    }
    return {};
}

void Reader::take_bound() {
    std::vector<bool> touched(read_.values.size(), false);
    for (const ProgramNode& node : read_.nodes) {
        for (uint32_t id : node.in)
            if (id != TENON_NONE) touched[id] = true;
        for (uint32_t id : node.out)
            if (id != TENON_NONE) touched[id] = true;
    }
    for (uint32_t i = 0; i < read_.values.size(); ++i) {
        const uint32_t kind = read_.values[i].kind;
        if (touched[i] && (kind == TENON_VALUE_INPUT || kind == TENON_VALUE_OUTPUT))
            read_.bounds.bound.push_back(bound_value(sdk::value_at(program_, i)));
    }
}

}  // namespace

sdk::Status check_source(const tenon_value& value, uint32_t index,
                         const ProgramParts& parts) noexcept {
    if (value.kind == TENON_VALUE_KV && parts.kv == nullptr)
        return sdk::fail(TENON_INVALID, "Value %u is a KV pool, but none is bound.", index);
    if (value.kind == TENON_VALUE_WEIGHT &&
        (!parts.weights_finished || value.weight >= parts.weights.size()))
        return sdk::fail(TENON_INVALID, "Value %u names weight %u of a finished set of %zu.", index,
                         value.weight, parts.weights.size());
    return {};
}

sdk::Status check_measured(const tenon_prepare& how, bool weights_measured) noexcept {
    if (weights_measured && (how.flags & TENON_PREPARE_MEASURE) == 0)
        return sdk::fail(TENON_INVALID,
                         "The weight set was only measured; it serves PREPARE_MEASURE alone.");
    return {};
}

sdk::Status read_program(const tenon_program& program, const tenon_prepare& how,
                         const ProgramParts& parts, ReadProgram& read) {
    TENON_SDK_CHECK(check_measured(how, parts.weights_measured));
    TENON_SDK_CHECK(read_step_bounds(program, how, read.bounds));
    Reader reader(program, parts, read);
    TENON_SDK_CHECK(reader.take_values());
    TENON_SDK_CHECK(reader.take_nodes());
    reader.take_bound();
    return {};
}

}  // namespace tenon::common
