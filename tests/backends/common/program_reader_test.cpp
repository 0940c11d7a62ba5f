#include "backends/common/program_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/backends/common/test_program.h"

namespace tenon::common {
namespace {

// ids -> table[100,64] -> norm with gain[64] -> w[96,64] -> out[T,96]; one bucket of 8 tokens, one of 40.
struct ReaderTest : testing::Test {
    ReaderTest() {
        table = p.value(TENON_VALUE_WEIGHT, {100, 64});
        ids = p.value(TENON_VALUE_INPUT, {-1}, TENON_I32);
        x = p.value(TENON_VALUE_TEMP, {-1, 64});
        gain = p.value(TENON_VALUE_WEIGHT, {64});
        normed = p.value(TENON_VALUE_TEMP, {-1, 64});
        w = p.value(TENON_VALUE_WEIGHT, {96, 64});
        y = p.value(TENON_VALUE_OUTPUT, {-1, 96});
        p.node(TENON_OP_EMBED, {table, ids}, {x}, &embed);
        p.node(TENON_OP_RMS_NORM, {x, gain}, {normed}, &norm);
        p.node(TENON_OP_MATMUL, {normed, w}, {y}, &matmul);
        norm.size = sizeof norm;
        parts.weights_finished = true;
        parts.weights = {{100, 64, true, false}, {1, 64, false, true}, {96, 64, true, false}};
        how.size = sizeof how;
        how.n_buckets = 2;
        how.buckets = buckets;
    }

    sdk::Status read() {
        result = {};
        return read_program(p.view(), how, parts, result);
    }
    std::string refusal(int32_t code) {
        const sdk::Status status = read();
        EXPECT_EQ(status.code(), code);
        return status.message();
    }

    tenon_attr_embed embed{sizeof(tenon_attr_embed), 1.0f};
    tenon_attr_rms_norm norm{};
    tenon_attr_matmul matmul{sizeof(tenon_attr_matmul), 1.0f};
    int64_t small = 8, large = 40;
    tenon_bucket buckets[2] = {{&small}, {&large}};
    tenon_prepare how{};
    ProgramParts parts;
    TestProgram p;
    uint32_t table, ids, x, gain, normed, w, y;
    ReadProgram result;
};

TEST_F(ReaderTest, RowsColumnsPortsAndWhatMustBeBound) {
    const sdk::Status status = read();
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(result.values[x].cols, 64u);
    EXPECT_EQ(result.values[x].rows_max, 40);
    EXPECT_EQ(result.values[x].bytes_max(), 40u * 64 * 4);
    ASSERT_EQ(result.nodes.size(), 3u);
    EXPECT_EQ(result.nodes[2].in[1], w);
    EXPECT_EQ(result.nodes[2].in[2], TENON_NONE);
    EXPECT_EQ(result.nodes[1].out[1], TENON_NONE);
    ASSERT_EQ(result.bounds.bound.size(), 2u);
    EXPECT_EQ(result.bounds.bound[0].slot, p.values[ids].slot);
    EXPECT_EQ(result.bounds.bound[1].slot, p.values[y].slot);
    EXPECT_FALSE(result.bounds.bound[0].optional);
    EXPECT_EQ(result.bounds.symbols_max(1)[0], 40);
}

TEST_F(ReaderTest, AnUntouchedInputNeedNotBeBound) {
    p.value(TENON_VALUE_INPUT, {-1});
    ASSERT_TRUE(read().ok());
    EXPECT_EQ(result.bounds.n_slots, 3u);
    EXPECT_EQ(result.bounds.bound.size(), 2u);
}

TEST_F(ReaderTest, AFallingExtentIsLargestAtZero) {
    p.values[x].dims[0] = {0, -1, 100};
    ASSERT_TRUE(read().ok());
    EXPECT_EQ(result.values[x].rows_max, 100);
}

TEST_F(ReaderTest, ExtentsThatWrapAreRefused) {
    const std::string illegal = "Value " + std::to_string(x) + " has an illegal extent.";
    p.values[x].dims[0] = {0, 1, INT64_MAX};
    EXPECT_EQ(refusal(TENON_INVALID), illegal);
    p.values[x].dims[0] = {0, 1, 0};
    p.values[x].rank = 3;
    p.values[x].dims[1] = p.values[x].dims[2] = {TENON_NONE, 0, int64_t{1} << 32};
    EXPECT_EQ(refusal(TENON_INVALID), illegal);
    p.values[x].dims[2].add = 0;
    EXPECT_EQ(refusal(TENON_INVALID), illegal);
}

TEST_F(ReaderTest, ValuesPastATebibyteAreRefused) {
    p.values[x].dims[0] = {TENON_NONE, 0, (int64_t{1} << 32) + 1};  // of 64 floats
    EXPECT_NE(refusal(TENON_UNSUPPORTED), "");
    p.values[x].dims[0] = {0, 1, 0};
    p.values[x].dims[1].add = int64_t{1} << 32;
    EXPECT_NE(refusal(TENON_UNSUPPORTED), "");
}

TEST_F(ReaderTest, AWeightDoesNotVary) {
    p.values[gain].dims[0].symbol = 0;
    p.values[gain].dims[0].mul = 1;
    EXPECT_EQ(refusal(TENON_INVALID), "Value " + std::to_string(gain) + " has an illegal extent.");
}

TEST_F(ReaderTest, WeightsAreThereFinishedAndOfTheirSize) {
    parts.weights_finished = false;
    EXPECT_EQ(refusal(TENON_INVALID), "Value 0 names weight 0 of a finished set of 3.");
    parts.weights_finished = true;
    parts.weights.pop_back();
    EXPECT_EQ(refusal(TENON_INVALID),
              "Value " + std::to_string(w) + " names weight 2 of a finished set of 2.");
    parts.weights.push_back({96, 32, true, false});
    EXPECT_EQ(refusal(TENON_INVALID), "Weight 2 is 96 x 32, the program has it as 96 x 64.");
    parts.weights[2] = {96, 64, false, true};
    EXPECT_EQ(refusal(TENON_INVALID), "Weight 2 is 96 x 64, the program has it as 96 x 64.");
    EXPECT_EQ(read().node(), 2u);
}

TEST_F(ReaderTest, ProductsFitTheirOperands) {
    p.values[normed].dims[1].add = 32;
    EXPECT_EQ(refusal(TENON_INVALID), "A matmul's x has 32 columns, its weight 64.");
    p.values[normed].dims[1].add = 64;
    p.values[y].dims[1].add = 95;
    EXPECT_EQ(refusal(TENON_INVALID), "Weight 2 gives rows of 96 elements, the program has 95.");
    p.values[y].dims[1].add = 96;
    p.values[x].dims[1].add = 63;
    EXPECT_EQ(refusal(TENON_INVALID), "Weight 0 gives rows of 64 elements, the program has 63.");
}

TEST_F(ReaderTest, PlainWeightsWerePutForIt) {
    parts.weights[1] = {1, 64, true, false};
    EXPECT_EQ(refusal(TENON_INVALID),
              "Weight 1 is read as 64 floats; it was put as 1 x 64, not for elementwise use.");
    parts.weights[1] = {1, 63, false, true};
    EXPECT_EQ(refusal(TENON_INVALID), "Weight 1 is read as 64 floats; it was put as 1 x 63.");
}

TEST_F(ReaderTest, AMeasuredSetOnlyMeasures) {
    parts.weights_measured = true;
    EXPECT_EQ(refusal(TENON_INVALID),
              "The weight set was only measured; it serves PREPARE_MEASURE alone.");
    how.flags = TENON_PREPARE_MEASURE;
    EXPECT_TRUE(read().ok());
    EXPECT_TRUE(result.bounds.measured);
}

TEST_F(ReaderTest, ThePoolIsBoundAndOfTheProgramsShape) {
    tenon_attr_paged_attn attn{};
    attn.size = sizeof attn;
    attn.n_q_heads = attn.n_kv_heads = 1;
    attn.dim_k = attn.dim_v = 64;
    attn.layer = 1;
    const uint32_t kv = p.value(TENON_VALUE_KV, {});
    const uint32_t blocks = p.value(TENON_VALUE_INPUT, {4, 8}, TENON_I32);
    const uint32_t lengths = p.value(TENON_VALUE_INPUT, {4}, TENON_I32);
    const uint32_t starts = p.value(TENON_VALUE_INPUT, {5}, TENON_I32);
    const uint32_t out = p.value(TENON_VALUE_TEMP, {-1, 64});
    p.node(TENON_OP_PAGED_ATTN, {x, kv, blocks, lengths, starts}, {out}, &attn);
    EXPECT_EQ(refusal(TENON_INVALID),
              "Value " + std::to_string(kv) + " is a KV pool, but none is bound.");
    tenon_kv_desc desc{};
    desc.n_layers = 1;
    desc.n_kv_heads = 1;
    desc.dim_k = desc.dim_v = 64;
    parts.kv = &desc;
    EXPECT_EQ(
        refusal(TENON_INVALID),
        "The program wants layer 1 of 1 heads of 64 and 64; the KV pool has 1 layers of 1 heads "
        "of 64 and 64.");
    attn.layer = 0;
    const sdk::Status status = read();
    EXPECT_TRUE(status.ok()) << status.message();
}

TEST_F(ReaderTest, PartsOfASetSayWhatEachEntryIsFor) {
    struct Entry {
        uint32_t rows, cols, uses;
    };
    struct Set {
        bool finished = true, measured = true;
        std::vector<Entry> entries = {{4, 8, TENON_USE_ROWS}, {1, 8, TENON_USE_ELEMENTWISE}};
    } set;
    const ProgramParts made = parts_of(&set, nullptr);
    EXPECT_TRUE(made.weights_finished && made.weights_measured);
    ASSERT_EQ(made.weights.size(), 2u);
    EXPECT_TRUE(made.weights[0].matrix && !made.weights[0].plain);
    EXPECT_TRUE(made.weights[1].plain && !made.weights[1].matrix);
    EXPECT_FALSE(parts_of(static_cast<const Set*>(nullptr), nullptr).weights_finished);
}

}  // namespace
}  // namespace tenon::common
