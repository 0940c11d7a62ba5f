#include <tenon/reference/rope_kv_write.h>

#include <fmt/format.h>

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kQ, kK, kV, kPositions, kKvSlot, kInvFreq, kKv, kQGain, kKGain };
constexpr Port kInputs[] = {{"q"},
                            {"k"},
                            {"v"},
                            {"positions"},
                            {"kv_slot"},
                            {"inv_freq"},
                            {"kv", false, true},
                            {"q_gain", true},
                            {"k_gain", true}};
constexpr Port kOutputs[] = {{"q'"}};

Status check_attr(const NodeView& node, const tenon_attr_rope_kv_write& attr) {
    if (attr.n_q_heads == 0 || attr.n_kv_heads == 0 || attr.dim_k == 0 || attr.dim_v == 0) {
        return node.error("heads and their dimensions must be above 0");
    }
    if (attr.style > TENON_ROPE_HALVES) {
        return node.error(fmt::format("rotation style {} is unknown", attr.style));
    }
    if (attr.rope_dim % 2 != 0 || attr.rope_dim > attr.dim_k || attr.rope_dim == 0) {
        return node.error(
            fmt::format("rope_dim is {}; it must be even, above 0 and at most dim_k, {}",
                        attr.rope_dim, attr.dim_k));
    }
    return {};
}

Result<std::vector<ValueType>> infer(const NodeView& node) {
    const auto& attr = node.attr<tenon_attr_rope_kv_write>();
    TENON_CHECK(check_attr(node, attr));
    for (const uint32_t port : {kQ, kK, kV})
        TENON_CHECK(node.expect_type(port, TENON_F32, 2));
    for (const uint32_t port : {kPositions, kKvSlot}) {
        TENON_CHECK(node.expect_type(port, TENON_I32, 1));
        TENON_CHECK(node.expect_equal(port, 0, kQ, 0));
    }
    TENON_CHECK(node.expect_equal(kK, 0, kQ, 0));
    TENON_CHECK(node.expect_equal(kV, 0, kQ, 0));
    const int64_t kv_heads = attr.n_kv_heads;
    TENON_CHECK(
        node.expect_extent(kQ, 1, int64_t{attr.n_q_heads} * attr.dim_k, "n_q_heads * dim_k"));
    TENON_CHECK(node.expect_extent(kK, 1, kv_heads * attr.dim_k, "n_kv_heads * dim_k"));
    TENON_CHECK(node.expect_extent(kV, 1, kv_heads * attr.dim_v, "n_kv_heads * dim_v"));
    TENON_CHECK(node.expect_type(kInvFreq, TENON_F32, 1));
    TENON_CHECK(node.expect_extent(kInvFreq, 0, int64_t{attr.rope_dim / 2}, "rope_dim / 2"));
    for (const uint32_t port : {kQGain, kKGain}) {
        if (!node.has(port)) continue;
        TENON_CHECK(node.expect_type(port, TENON_F32, 1));
        TENON_CHECK(node.expect_extent(port, 0, int64_t{attr.dim_k}, "dim_k"));
    }
    return std::vector<ValueType>{{TENON_F32, node.dims(kQ)}};
}

Status run(const RunArgs& args) {
    const auto& attr = args.node.attr<tenon_attr_rope_kv_write>();
    const HostArray& kv_slot = args.inputs[kKvSlot];
    const int64_t slots = int64_t{args.kv->n_blocks} * args.kv->block_tokens;
    for (int64_t t = 0; t < kv_slot.dims[0]; ++t) {
        if (kv_slot.i32()[t] < slots) continue;
        return args.node.error(fmt::format("kv_slot {} of token {} is outside the pool's {} places",
                                           kv_slot.i32()[t], t, slots));
    }
    reference::rope_kv_write(args.inputs[kQ].f32(), args.inputs[kK].f32(), args.inputs[kV].f32(),
                             args.inputs[kPositions].i32(), kv_slot.i32(),
                             args.inputs[kInvFreq].f32(), *args.kv, args.inputs[kQGain].f32(),
                             args.inputs[kKGain].f32(), kv_slot.dims[0], attr,
                             args.outputs[0].as<float>());
    return {};
}

}  // namespace

constinit const OpDef kRopeKvWriteOp{
    TENON_OP_ROPE_KV_WRITE,           "rope_kv_write", kInputs, kOutputs,
    sizeof(tenon_attr_rope_kv_write), infer,           run,     nullptr};

}  // namespace tenon::ops
