#include "core/ops/verify.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/core/ops/small_program.h"

namespace {

using namespace tenon;
using namespace tenon::ops;
using namespace tenon::ops::test;

void expect_refused(const tenon_program& program, const std::string& piece,
                    Code code = Code::kInvalid) {
    const Status status = verify_program(program);
    ASSERT_FALSE(status.ok()) << "accepted; wanted \"" << piece << "\"";
    EXPECT_EQ(status.error().code, code);
    EXPECT_NE(status.error().message.find(piece), std::string::npos) << status.error().message;
}

TEST(Verify, AcceptsTheSmallProgram) {
    const Program program = small_program();
    const Status status = verify_program(program.view());
    EXPECT_TRUE(status.ok()) << status.error().message;
}

// A builder with two inputs and a weight, from which each case makes one wrong node.
struct Bench {
    ProgramBuilder b;
    Dim tokens = Dim::of(b.symbol("T", 8));
    uint32_t s = b.symbol("S", 2);
    ValueId x = b.input("x", 0, TENON_F32, {tokens, 64});
    ValueId ids = b.input("ids", 1, TENON_I32, {tokens});
    ValueId w = b.weight("w", 0, {32, 48});
    ValueId square = b.weight("square", 1, {64, 64});
    ValueId kv = b.kv();
};

struct Case {
    const char* piece;
    std::function<void(Bench&)> make;
};

TEST(Verify, ShapeRulesSayWhatIsWrong) {
    const tenon_attr_rope_kv_write rope{sizeof rope, 4, 2, 16, 16, 16, TENON_ROPE_HALVES, 0, 1, 0};
    const tenon_attr_paged_attn attn{sizeof attn, 4, 2, 16, 16, 0, 0, 0.25f, 0};
    const Case cases[] = {
        {"matmul 'm': x has 64 columns, w has 48 columns; they must be equal",
         [](Bench& t) { t.b.matmul("m", t.x, t.w); }},
        {"matmul 'm': w must be an entry of the weight set",
         [](Bench& t) {
             t.b.matmul("m", t.x, t.b.input("plain", 2, TENON_F32, {32, 64}));
         }},
        {"matmul 'm': x is i32[T]; it must be f32 of rank 2",
         [](Bench& t) {
             const tenon_attr_matmul attr{sizeof attr, 1.0f};
             t.b.node(TENON_OP_MATMUL, "m", {t.ids, t.w}, {{"y", TENON_F32, {t.tokens, 32}}}, &attr,
                      sizeof attr);
         }},
        {"matmul 'm': bias has 63 elements, w has 64 rows",
         [](Bench& t) { t.b.matmul("m", t.x, t.square, t.b.weight("bias", 2, {63})); }},
        {"matmul 'm': residual has S rows, x has T rows",
         [](Bench& t) {
             t.b.matmul("m", t.x, t.square, kNoValue,
                        t.b.input("r", 2, TENON_F32, {Dim::of(t.s), 64}));
         }},
        {"embed 'e': ids is f32[T,64]; it must be i32 of rank 1",
         [](Bench& t) { t.b.embed("e", t.w, t.x, 1.0f); }},
        {"rms_norm 'n': x has 64 columns, gain has 32 elements",
         [](Bench& t) { t.b.rms_norm("n", t.x, t.b.weight("gain", 2, {32}), 1e-5f); }},
        {"rms_norm 'n': epsilon must be 0 or more",
         [](Bench& t) { t.b.rms_norm("n", t.x, t.b.weight("gain", 2, {64}), -1.0f); }},
        {"matmul_glu 'g': gate is f32[64,64], up is f32[32,48]; they must be equal",
         [](Bench& t) { t.b.matmul_glu("g", t.x, t.square, t.w, TENON_ACT_SILU); }},
        {"matmul_glu 'g': activation 9 is unknown",
         [](Bench& t) {
             t.b.matmul_glu("g", t.x, t.square, t.square, static_cast<tenon_activation>(9));
         }},
        {"rope_kv_write 'r': k has 64 columns; it must have 32, n_kv_heads * dim_k",
         [=](Bench& t) {
             t.b.rope_kv_write("r", {t.x, t.x, t.x, t.ids, t.ids, t.b.weight("f", 2, {8}), t.kv},
                               rope);
         }},
        {"rope_kv_write 'r': kv must be the KV pool",
         [=](Bench& t) {
             t.b.rope_kv_write("r", {t.x, t.x, t.x, t.ids, t.ids, t.ids, t.x}, rope);
         }},
        {"rope_dim is 18; it must be even, above 0 and at most dim_k, 16",
         [=](Bench& t) {
             auto wide = rope;
             wide.rope_dim = 18;
             t.b.rope_kv_write("r", {t.x, t.x, t.x, t.ids, t.ids, t.ids, t.kv}, wide);
         }},
        {"paged_attn 'a': kv_len has T elements; it must have S, one less than q_start",
         [=](Bench& t) {
             t.b.paged_attn("a", t.x, t.kv, t.b.input("table", 2, TENON_I32, {Dim::of(t.s), 4}),
                            t.ids, t.b.input("q_start", 3, TENON_I32, {Dim::of(t.s, 1, 1)}), attn);
         }},
        {"5 query heads cannot share 2 KV heads evenly",
         [=](Bench& t) {
             auto odd = attn;
             odd.n_q_heads = 5;
             t.b.paged_attn("a", t.x, t.kv, t.x, t.ids, t.ids, odd);
         }},
        {"gather_rows 'g': rows is f32[T,64]; it must be i32 of rank 1",
         [](Bench& t) { t.b.gather_rows("g", t.x, t.x); }},
        {"add 'p': a is f32[T,64], b is f32[64,64]; they must be equal",
         [](Bench& t) { t.b.add("p", t.x, t.square); }},
        {"mul 'p': a has 64 columns, b has 32 elements",
         [](Bench& t) { t.b.mul("p", t.x, t.b.weight("row", 2, {32})); }},
        {"sample 's': temperature has S elements, logits has T rows",
         [](Bench& t) {
             const ValueId short_row = t.b.input("temperature", 2, TENON_F32, {Dim::of(t.s)});
             t.b.sample("s", t.x, {short_row, t.ids, t.ids, t.ids, t.ids, t.ids});
         }},
        {"sample 's': seed is i32[T]; it must be u64 of rank 1",
         [](Bench& t) {
             const ValueId f = t.b.input("temperature", 2, TENON_F32, {t.tokens});
             t.b.sample("s", t.x, {f, t.ids, f, f, t.ids, t.ids});
         }},
        {"softcap 'c': the cap is 0; it must be above 0",
         [](Bench& t) {
             const tenon_attr_softcap attr{sizeof attr, 0.0f};
             t.b.node(TENON_OP_SOFTCAP, "c", {t.x}, {{"y", TENON_F32, {t.tokens, 64}}}, &attr,
                      sizeof attr);
         }},
        {"pool_rows 'p': pooling rule 7 is unknown",
         [](Bench& t) {
             const tenon_attr_pool_rows attr{sizeof attr, 7};
             t.b.node(TENON_OP_POOL_ROWS, "p", {t.x, t.ids}, {{"y", TENON_F32, {t.tokens, 64}}},
                      &attr, sizeof attr);
         }},
        {"gather_rows 'g': y is declared f32[T,63]; the op makes f32[T,64]",
         [](Bench& t) {
             t.b.node(TENON_OP_GATHER_ROWS, "g", {t.x, t.ids}, {{"y", TENON_F32, {t.tokens, 63}}},
                      nullptr, 0);
         }},
        {"gather_rows 'g': input rows is missing",
         [](Bench& t) {
             t.b.node(TENON_OP_GATHER_ROWS, "g", {t.x}, {{"y", TENON_F32, {t.tokens, 64}}}, nullptr,
                      0);
         }},
        {"gather_rows 'g': output y is missing",
         [](Bench& t) {
             t.b.node(TENON_OP_GATHER_ROWS, "g", {t.x, t.ids}, {}, nullptr, 0);
         }},
        {"gather_rows 'g': rows is value 77; there are",
         [](Bench& t) {
             t.b.node(TENON_OP_GATHER_ROWS, "g", {t.x, 77}, {{"y", TENON_F32, {t.tokens, 64}}},
                      nullptr, 0);
         }},
        {"activation 'a': its attributes are missing",
         [](Bench& t) {
             t.b.node(TENON_OP_ACTIVATION, "a", {t.x}, {{"y", TENON_F32, {t.tokens, 64}}}, nullptr,
                      0);
         }},
        {"activation 'a': its attributes have 12 bytes; wanted 8",
         [](Bench& t) {
             const uint32_t attr[] = {12, 1, 0};
             t.b.node(TENON_OP_ACTIVATION, "a", {t.x}, {{"y", TENON_F32, {t.tokens, 64}}}, attr,
                      sizeof attr);
         }},
        {"dimension 1 has the extent 0",
         [](Bench& t) {
             t.b.input("empty", 2, TENON_F32, {t.tokens, 0});
         }},
        {"dimension 0 names symbol 9; there are 2",
         [](Bench& t) { t.b.input("symbol", 2, TENON_F32, {Dim::of(9)}); }},
        {"at most",
         [](Bench& t) {
             t.b.input("huge", 2, TENON_F32, {int64_t{1} << 40, int64_t{1} << 40});
         }},
        {"slot 0 belongs to another value",
         [](Bench& t) { t.b.input("again", 0, TENON_F32, {1}); }},
        {"a weight has constant extents", [](Bench& t) { t.b.weight("v", 2, {t.tokens}); }},
        {"symbol 'Z' has the maximum 0", [](Bench& t) { t.b.symbol("Z", 0); }},
    };
    for (const Case& one : cases) {
        Bench bench;
        one.make(bench);
        const Program program = bench.b.build();
        SCOPED_TRACE(one.piece);
        expect_refused(program.view(), one.piece);
    }
}

TEST(Verify, TwoPoolGeometriesAreRefused) {
    Bench t;
    const ValueId table = t.b.input("table", 2, TENON_I32, {Dim::of(t.s), 4});
    const ValueId lens = t.b.input("lens", 3, TENON_I32, {Dim::of(t.s)});
    const ValueId start = t.b.input("start", 4, TENON_I32, {Dim::of(t.s, 1, 1)});
    t.b.paged_attn("a", t.x, t.kv, table, lens, start,
                   {sizeof(tenon_attr_paged_attn), 4, 2, 16, 16, 0, 0, 1, 0});
    t.b.paged_attn("b", t.x, t.kv, table, lens, start,
                   {sizeof(tenon_attr_paged_attn), 4, 4, 16, 16, 0, 0, 1, 0});
    expect_refused(t.b.build().view(), "paged_attn 'b': it wants a KV pool of 4 heads");
}

// What the builder cannot say wrong, said wrong by hand.
TEST(Verify, HandmadeFaults) {
    const Program program = small_program();
    const tenon_program good = program.view();
    std::vector<tenon_node> nodes(good.nodes, good.nodes + good.n_nodes);
    std::vector<tenon_value> values(good.values, good.values + good.n_values);
    tenon_program bad = good;
    bad.nodes = nodes.data();
    bad.values = values.data();
    ASSERT_TRUE(verify_program(bad).ok());

    bad.size = 12;
    expect_refused(bad, "the program's size is 12");
    bad.size = good.size;
    bad.node_stride = 60;
    expect_refused(bad, "a stride of the program");
    bad.node_stride = good.node_stride;
    bad.n_values = 0xffffffff;
    expect_refused(bad, "the limit is");
    bad.n_values = good.n_values;
    bad.values = nullptr;
    expect_refused(bad, "an array of the program is null");
    bad.values = values.data();

    std::swap(nodes[1], nodes[2]);
    expect_refused(bad, "before a node writes it");
    std::swap(nodes[1], nodes[2]);
    nodes[1].op = TENON_OP_MOE_ROUTE;
    expect_refused(bad, "op 16 'blk.0.norm'", Code::kUnsupported);
    nodes[1].op = 4000000000u;
    expect_refused(bad, "op 4000000000", Code::kUnsupported);
    nodes[1] = good.nodes[1];
    nodes[1].op_version = 1;
    expect_refused(bad, "version 1 of this op is not known", Code::kUnsupported);
    nodes[1] = good.nodes[1];
    nodes[1].size = 8;
    expect_refused(bad, "its size is 8");
    nodes[1] = good.nodes[1];
    nodes[1].n_inputs = 9;
    expect_refused(bad, "it has 9 inputs; there are at most 3");
    nodes[1] = good.nodes[1];
    nodes[2].outputs = nodes[1].outputs;
    expect_refused(bad, "a second time");
    nodes[2] = good.nodes[2];
    nodes[2].outputs = nodes[2].inputs + 1;
    expect_refused(bad, "no temporary and no output");
    nodes[2] = good.nodes[2];
    bad.n_nodes -= 1;
    expect_refused(bad, "no node writes this output");
    bad.n_nodes = good.n_nodes;

    values[0].kind = 99;
    expect_refused(bad, "value 0 'ids': kind 99 is unknown");
    values[0] = good.values[0];
    values[0].rank = 5;
    expect_refused(bad, "its rank is 5");
    values[0] = good.values[0];
    values[0].dtype = 0;
    expect_refused(bad, "dtype 0 is unknown");
    values[0] = good.values[0];
    values[0].slot = 70;
    expect_refused(bad, "its slot is 70");
    values[0] = good.values[0];
    values[0].weight = 1;
    expect_refused(bad, "only weights do");
    values[0] = good.values[0];
    values[0].dims[0].mul = -1;
    expect_refused(bad, "it may not shrink");
}

}  // namespace
