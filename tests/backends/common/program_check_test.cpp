#include "backends/common/program_check.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/backends/common/test_program.h"

namespace tenon::common {
namespace {

// A lookup, a product and their attributes: ids -> [T,64] -> [T,96].
struct CheckTest : testing::Test {
    CheckTest() {
        table = p.value(TENON_VALUE_WEIGHT, {100, 64});
        ids = p.value(TENON_VALUE_INPUT, {-1}, TENON_I32);
        x = p.value(TENON_VALUE_TEMP, {-1, 64});
        w = p.value(TENON_VALUE_WEIGHT, {96, 64});
        y = p.value(TENON_VALUE_OUTPUT, {-1, 96});
        p.node(TENON_OP_EMBED, {table, ids}, {x}, &embed);
        p.node(TENON_OP_MATMUL, {x, w}, {y}, &matmul);
    }

    std::string refusal(uint32_t node) {
        const sdk::Status status = check_node(p.view(), node);
        EXPECT_TRUE(status.ok() || status.code() == TENON_UNSUPPORTED);
        return status.message();
    }

    tenon_attr_embed embed{sizeof(tenon_attr_embed), 1.0f};
    tenon_attr_matmul matmul{sizeof(tenon_attr_matmul), 1.0f};
    TestProgram p;
    uint32_t table, ids, x, w, y;
};

TEST_F(CheckTest, AGoodProgramIsNative) {
    std::vector<tenon_verdict> verdicts(2);
    judge_nodes(p.view(), {verdicts.data(), 2, sizeof(tenon_verdict)});
    EXPECT_EQ(verdicts[0].kind, static_cast<uint32_t>(TENON_VERDICT_NATIVE)) << verdicts[0].reason;
    EXPECT_EQ(verdicts[1].kind, static_cast<uint32_t>(TENON_VERDICT_NATIVE)) << verdicts[1].reason;
}

TEST_F(CheckTest, TheReasonIsTheSentence) {
    p.nodes[1].op_version = 1;
    std::vector<tenon_verdict> verdicts(2);
    judge_nodes(p.view(), {verdicts.data(), 2, sizeof(tenon_verdict)});
    EXPECT_EQ(verdicts[0].kind, static_cast<uint32_t>(TENON_VERDICT_NATIVE));
    EXPECT_EQ(verdicts[1].kind, static_cast<uint32_t>(TENON_VERDICT_NO));
    EXPECT_EQ(std::string(verdicts[1].reason),
              "Op " + std::to_string(TENON_OP_MATMUL) + " version 1 is not known.");
}

TEST_F(CheckTest, PortsAndAttributes) {
    p.nodes[0].n_inputs = 1;
    EXPECT_NE(refusal(0), "");
    p.nodes[0].n_inputs = 2;
    p.ports[0][1] = TENON_NONE;
    EXPECT_EQ(refusal(0), "A mandatory input is absent.");
    p.ports[3][0] = TENON_NONE;
    EXPECT_EQ(refusal(1), "The first output is absent.");
    p.ports[3][0] = y;
    matmul.size = 4;
    EXPECT_EQ(refusal(1), "The attributes are absent or of another size.");
    p.nodes[1].attrs = nullptr;
    EXPECT_EQ(refusal(1), "The attributes are absent or of another size.");
    p.nodes[1].op = 60000;
    EXPECT_EQ(refusal(1), "Op 60000 version 0 is not known.");
}

TEST_F(CheckTest, ValuesAreWordsWithOneVaryingExtent) {
    for (uint32_t dtype : {uint32_t{TENON_F16}, uint32_t{TENON_I8}, uint32_t{99}}) {
        p.values[x].dtype = dtype;
        EXPECT_EQ(refusal(1), "Elements of 4 or 8 bytes are supported.") << dtype;
    }
    p.values[x].dtype = TENON_F32;
    p.values[x].dims[1].symbol = 0;
    EXPECT_EQ(refusal(1), "Only a first dimension may vary.");
    p.values[x].dims[1] = {TENON_NONE, 0, 0};
    EXPECT_EQ(refusal(1), "Only a first dimension may vary.");
    p.values[x].rank = 0;
    EXPECT_EQ(refusal(1), "Values have at least one dimension.");
    p.values[x].kind = TENON_VALUE_STATE;
    EXPECT_EQ(refusal(1), "State pools are not supported.");
}

TEST_F(CheckTest, IndicesAreBoundWords) {
    p.values[ids].dtype = TENON_I64;
    EXPECT_EQ(refusal(0), "Token ids must be a bound input of 32-bit integers.");
    p.values[ids].dtype = TENON_I32;
    p.values[ids].kind = TENON_VALUE_TEMP;
    EXPECT_EQ(refusal(0), "Token ids must be a bound input of 32-bit integers.");
}

TEST_F(CheckTest, MatricesAreWeights) {
    p.values[w].kind = TENON_VALUE_TEMP;
    EXPECT_EQ(refusal(1), "w must be a weight.");
    p.values[table].rank = 1;
    EXPECT_EQ(refusal(0), "EMBED reads a weight only.");
}

TEST_F(CheckTest, HeadsDivideAndAreNotLarger) {
    tenon_attr_paged_attn attn{};
    attn.size = sizeof attn;
    attn.n_q_heads = 9;
    attn.n_kv_heads = 3;
    attn.dim_k = attn.dim_v = 64;
    const uint32_t q = p.value(TENON_VALUE_TEMP, {-1, 576});
    const uint32_t kv = p.value(TENON_VALUE_KV, {});
    const uint32_t blocks = p.value(TENON_VALUE_INPUT, {4, 8}, TENON_I32);
    const uint32_t lengths = p.value(TENON_VALUE_INPUT, {4}, TENON_I32);
    const uint32_t starts = p.value(TENON_VALUE_INPUT, {5}, TENON_I32);
    const uint32_t out = p.value(TENON_VALUE_TEMP, {-1, 576});
    p.node(TENON_OP_PAGED_ATTN, {q, kv, blocks, lengths, starts}, {out}, &attn);
    EXPECT_EQ(refusal(2), "");
    attn.n_kv_heads = 2;
    EXPECT_EQ(refusal(2), "Query heads must be a multiple of KV heads.");
    attn.n_kv_heads = 0;
    EXPECT_EQ(refusal(2), "Query heads must be a multiple of KV heads.");
    attn.n_kv_heads = 9;
    attn.dim_k = 513;
    EXPECT_EQ(refusal(2), "Heads of 1 to 512 elements are supported.");
    attn.dim_k = 64;
    p.values[lengths].dtype = TENON_F32;
    EXPECT_EQ(refusal(2), "Block table, lengths and starts must be bound 32-bit integers.");
}

}  // namespace
}  // namespace tenon::common
