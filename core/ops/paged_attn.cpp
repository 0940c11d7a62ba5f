#include <tenon/reference/paged_attn.h>

#include <fmt/format.h>

#include "core/ops/sequence_rows.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kQ, kKv, kBlockTable, kKvLen, kQStart, kSinks };
constexpr Port kInputs[] = {{"q"},      {"kv", false, true}, {"block_table"},
                            {"kv_len"}, {"q_start"},         {"sinks", true}};
constexpr Port kOutputs[] = {{"o"}};

Status check_attr(const NodeView& node, const tenon_attr_paged_attn& attr) {
    if (attr.n_q_heads == 0 || attr.n_kv_heads == 0 || attr.dim_k == 0 || attr.dim_v == 0) {
        return node.error("heads and their dimensions must be above 0");
    }
    if (attr.n_q_heads % attr.n_kv_heads != 0) {
        return node.error(fmt::format("{} query heads cannot share {} KV heads evenly",
                                      attr.n_q_heads, attr.n_kv_heads));
    }
    if (attr.window < 0) {
        return node.error(fmt::format("the window is {}; it must be 0 or more", attr.window));
    }
    return {};
}

Result<std::vector<ValueType>> infer(const NodeView& node) {
    const auto& attr = node.attr<tenon_attr_paged_attn>();
    TENON_CHECK(check_attr(node, attr));
    TENON_CHECK(node.expect_type(kQ, TENON_F32, 2));
    TENON_CHECK(
        node.expect_extent(kQ, 1, int64_t{attr.n_q_heads} * attr.dim_k, "n_q_heads * dim_k"));
    TENON_CHECK(node.expect_type(kBlockTable, TENON_I32, 2));
    TENON_CHECK(node.expect_type(kKvLen, TENON_I32, 1));
    TENON_TRY(const Dim sequences, sequences_of(node, kQStart));
    TENON_CHECK(node.expect_extent(kBlockTable, 0, sequences, "one less than q_start"));
    TENON_CHECK(node.expect_extent(kKvLen, 0, sequences, "one less than q_start"));
    if (node.has(kSinks)) {
        TENON_CHECK(node.expect_type(kSinks, TENON_F32, 1));
        TENON_CHECK(node.expect_extent(kSinks, 0, int64_t{attr.n_q_heads}, "n_q_heads"));
    }
    return std::vector<ValueType>{
        {TENON_F32, {node.dim(kQ, 0), Dim(int64_t{attr.n_q_heads} * attr.dim_v)}}};
}

// Every position that a token sees lies in a block of the pool.
Status check_tables(const RunArgs& args) {
    const HostArray& table = args.inputs[kBlockTable];
    const int32_t* q_start = args.inputs[kQStart].i32();
    for (int64_t s = 0; s < table.dims[0]; ++s) {
        const int64_t length = args.inputs[kKvLen].i32()[s];
        const int64_t count = q_start[s + 1] - q_start[s];
        if (length < count || length > table.dims[1] * args.kv->block_tokens) {
            return args.node.error(fmt::format(
                "kv_len[{}] is {}; it must hold the step's {} tokens and fit {} blocks of {}", s,
                length, count, table.dims[1], args.kv->block_tokens));
        }
        for (int64_t b = 0; b * args.kv->block_tokens < length && count > 0; ++b) {
            const int64_t block = table.i32()[s * table.dims[1] + b];
            if (block >= 0 && block < args.kv->n_blocks) continue;
            return args.node.error(fmt::format("block {} of sequence {} is {}; the pool has {}", b,
                                               s, block, args.kv->n_blocks));
        }
    }
    return {};
}

Status run(const RunArgs& args) {
    const HostArray& q = args.inputs[kQ];
    const HostArray& table = args.inputs[kBlockTable];
    TENON_CHECK(check_q_start(args, args.inputs[kQStart], q.dims[0]));
    TENON_CHECK(check_tables(args));
    reference::paged_attn(q.f32(), *args.kv, table.i32(), args.inputs[kKvLen].i32(),
                          args.inputs[kQStart].i32(), args.inputs[kSinks].f32(), q.dims[0],
                          table.dims[0], table.dims[1], args.node.attr<tenon_attr_paged_attn>(),
                          args.outputs[0].as<float>());
    return {};
}

}  // namespace

constinit const OpDef kPagedAttnOp{TENON_OP_PAGED_ATTN,           "paged_attn", kInputs, kOutputs,
                                   sizeof(tenon_attr_paged_attn), infer,        run,     nullptr};

}  // namespace tenon::ops
