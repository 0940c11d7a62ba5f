#include "backends/common/program_check.h"

#include "backends/common/kv_shape.h"

namespace tenon::common {
namespace {

struct OpShape {
    uint32_t op, inputs_min, inputs_max, outputs_max, attr_bytes;
};

constexpr OpShape kOps[] = {
    {TENON_OP_EMBED, 2, 2, 1, sizeof(tenon_attr_embed)},
    {TENON_OP_RMS_NORM, 2, 3, 2, sizeof(tenon_attr_rms_norm)},
    {TENON_OP_MATMUL, 2, 4, 1, sizeof(tenon_attr_matmul)},
    {TENON_OP_MATMUL_GLU, 3, 3, 1, sizeof(tenon_attr_matmul_glu)},
    {TENON_OP_ROPE_KV_WRITE, 7, 9, 1, sizeof(tenon_attr_rope_kv_write)},
    {TENON_OP_PAGED_ATTN, 5, 6, 1, sizeof(tenon_attr_paged_attn)},
    {TENON_OP_GATHER_ROWS, 2, 2, 1, 0},
    {TENON_OP_SAMPLE, 7, 8, 2, sizeof(tenon_attr_sample)},
    {TENON_OP_ADD, 2, 2, 1, 0},
    {TENON_OP_MUL, 2, 2, 1, 0},
    {TENON_OP_ACTIVATION, 1, 1, 1, sizeof(tenon_attr_activation)},
    {TENON_OP_SOFTCAP, 1, 1, 1, sizeof(tenon_attr_softcap)},
    {TENON_OP_POOL_ROWS, 2, 2, 1, sizeof(tenon_attr_pool_rows)},
};

sdk::Status refuse(const char* sentence) noexcept {
    return sdk::fail(TENON_UNSUPPORTED, "%s", sentence);
}

const tenon_value& input(const tenon_program& program, const tenon_node& node,
                         uint32_t port) noexcept {
    return sdk::value_at(program, node.inputs[port]);
}

bool bound(const tenon_program& program, const tenon_node& node, uint32_t port,
           uint32_t dtype) noexcept {
    const tenon_value& value = input(program, node, port);
    return value.kind == TENON_VALUE_INPUT && value.dtype == dtype;
}

bool is_matrix(const tenon_program& program, const tenon_node& node, uint32_t port) noexcept {
    const tenon_value& value = input(program, node, port);
    return value.kind == TENON_VALUE_WEIGHT && value.rank == 2;
}

sdk::Status check_heads(uint32_t q_heads, uint32_t kv_heads, uint32_t dim_k,
                        uint32_t dim_v) noexcept {
    if (q_heads == 0 || kv_heads == 0 || q_heads % kv_heads != 0)
        return refuse("Query heads must be a multiple of KV heads.");
    if (dim_k == 0 || dim_v == 0 || dim_k > kHeadDimMax || dim_v > kHeadDimMax)
        return refuse("Heads of 1 to 512 elements are supported.");
    return {};
}

sdk::Status check_rope(const tenon_program& program, const tenon_node& node) noexcept {
    const auto& attr = *static_cast<const tenon_attr_rope_kv_write*>(node.attrs);
    TENON_SDK_CHECK(check_heads(attr.n_q_heads, attr.n_kv_heads, attr.dim_k, attr.dim_v));
    if (attr.rope_dim % 2 != 0 || attr.rope_dim > attr.dim_k || attr.style > TENON_ROPE_HALVES)
        return refuse("rope_dim must be even and at most dim_k, in a known style.");
    if (!bound(program, node, 3, TENON_I32) || !bound(program, node, 4, TENON_I32))
        return refuse("Positions and KV slots must be bound inputs of 32-bit integers.");
    const uint32_t kind = input(program, node, 5).kind;
    if (kind != TENON_VALUE_INPUT && kind != TENON_VALUE_WEIGHT)
        return refuse("inv_freq must be a weight or a bound input.");
    return {};
}

sdk::Status check_attention(const tenon_program& program, const tenon_node& node) noexcept {
    const auto& attr = *static_cast<const tenon_attr_paged_attn*>(node.attrs);
    TENON_SDK_CHECK(check_heads(attr.n_q_heads, attr.n_kv_heads, attr.dim_k, attr.dim_v));
    for (uint32_t port = 2; port <= 4; ++port)
        if (!bound(program, node, port, TENON_I32))
            return refuse("Block table, lengths and starts must be bound 32-bit integers.");
    return {};
}

// What an op needs beyond its number of ports.
sdk::Status check_op(const tenon_program& program, const tenon_node& node) noexcept {
    switch (node.op) {
        case TENON_OP_EMBED:
            if (!is_matrix(program, node, 0)) return refuse("EMBED reads a weight only.");
            if (!bound(program, node, 1, TENON_I32))
                return refuse("Token ids must be a bound input of 32-bit integers.");
            return {};
        case TENON_OP_MATMUL:
            return is_matrix(program, node, 1) ? sdk::Status() : refuse("w must be a weight.");
        case TENON_OP_MATMUL_GLU:
            if (static_cast<const tenon_attr_matmul_glu*>(node.attrs)->activation >
                TENON_ACT_GELU_ERF)
                return refuse("The activation is not known.");
            return is_matrix(program, node, 1) && is_matrix(program, node, 2)
                       ? sdk::Status()
                       : refuse("gate and up must be weights.");
        case TENON_OP_ROPE_KV_WRITE: return check_rope(program, node);
        case TENON_OP_PAGED_ATTN: return check_attention(program, node);
        case TENON_OP_GATHER_ROWS:
            return bound(program, node, 1, TENON_I32)
                       ? sdk::Status()
                       : refuse("Row numbers must be a bound input of 32-bit integers.");
        case TENON_OP_POOL_ROWS:
            return bound(program, node, 1, TENON_I32)
                       ? sdk::Status()
                       : refuse("Sequence starts must be a bound input of 32-bit integers.");
        case TENON_OP_ACTIVATION:
            return static_cast<const tenon_attr_activation*>(node.attrs)->activation <=
                           TENON_ACT_GELU_ERF
                       ? sdk::Status()
                       : refuse("The activation is not known.");
        default: return {};
    }
}

// Every element is one or two whole words: whoever reads words stays inside of it.
bool whole_words(uint32_t dtype) noexcept {
    const uint32_t bytes = sdk::dtype_bytes(dtype);
    return bytes == 4 || bytes == 8;
}

}  // namespace

sdk::Status check_node(const tenon_program& program, uint32_t index) noexcept {
    const tenon_node& node = sdk::node_at(program, index);
    const OpShape* shape = nullptr;
    for (const OpShape& known : kOps)
        if (known.op == node.op) shape = &known;
    if (shape == nullptr || node.op_version != 0)
        return sdk::fail(TENON_UNSUPPORTED, "Op %u version %u is not known.", node.op,
                         node.op_version);
    if (node.n_inputs < shape->inputs_min || node.n_inputs > shape->inputs_max ||
        node.n_outputs == 0 || node.n_outputs > shape->outputs_max)
        return sdk::fail(TENON_UNSUPPORTED, "Op %u has %u inputs and %u outputs.", node.op,
                         node.n_inputs, node.n_outputs);
    for (uint32_t port = 0; port < shape->inputs_min; ++port)
        if (node.inputs[port] == TENON_NONE) return refuse("A mandatory input is absent.");
    if (node.outputs[0] == TENON_NONE) return refuse("The first output is absent.");
    if (shape->attr_bytes != 0 &&
        (node.attrs == nullptr || *static_cast<const uint32_t*>(node.attrs) != shape->attr_bytes))
        return refuse("The attributes are absent or of another size.");
    for (uint32_t port = 0; port < node.n_inputs + node.n_outputs; ++port) {
        const uint32_t id =
            port < node.n_inputs ? node.inputs[port] : node.outputs[port - node.n_inputs];
        if (id == TENON_NONE) continue;
        const tenon_value& value = sdk::value_at(program, id);
        if (value.kind == TENON_VALUE_KV) continue;
        if (value.kind == TENON_VALUE_STATE) return refuse("State pools are not supported.");
        if (value.rank == 0) return refuse("Values have at least one dimension.");
        if (!whole_words(value.dtype)) return refuse("Elements of 4 or 8 bytes are supported.");
        for (uint32_t d = 1; d < value.rank; ++d)
            if (value.dims[d].symbol != TENON_NONE || value.dims[d].add <= 0)
                return refuse("Only a first dimension may vary.");
    }
    return check_op(program, node);
}

void judge_nodes(const tenon_program& program, sdk::Strided<tenon_verdict> verdicts) noexcept {
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        const sdk::Status status = check_node(program, i);
        if (status.ok()) {
            sdk::set_verdict(verdicts[i], TENON_VERDICT_NATIVE, 0, "");
        } else {
            sdk::set_verdict(verdicts[i], TENON_VERDICT_NO, 0, status.message());
        }
    }
}

}  // namespace tenon::common
