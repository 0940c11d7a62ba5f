#include "core/ops/print.h"

#include <gtest/gtest.h>

#include "tests/core/ops/small_program.h"

namespace {

using namespace tenon::ops;
using namespace tenon::ops::test;

void expect_piece(const std::string& text, const std::string& piece) {
    EXPECT_NE(text.find(piece), std::string::npos) << "no \"" << piece << "\" in\n" << text;
}

TEST(Print, TextNamesShapesAndFormats) {
    const Program program = small_program();
    const std::string text = program_text(
        program.view(), [](uint32_t entry) { return entry == kEmbedding ? "q4_1" : ""; });
    expect_piece(text, "symbol T <= 8");
    expect_piece(text, "input  q_start i32[S+1] slot 5");
    expect_piece(text, "embed f32[T,8] = embed(embedding q4_1[11,8], ids)");
    expect_piece(text, "layer 0\n");
    expect_piece(
        text,
        "blk.0.o f32[T,8] = matmul(blk.0.attn, wo f32[8,8], bias: bias f32[8], residual: embed)");
    expect_piece(text, "logits f32[T,11] slot 6 = matmul(");
}

TEST(Print, RepeatedLayersAreOneLine) {
    ProgramBuilder b;
    const Dim tokens = Dim::of(b.symbol("T", 4));
    const ValueId x = b.input("x", 0, TENON_F32, {tokens, 4});
    for (uint32_t layer = 0; layer < 5; ++layer) {
        b.set_layer(layer);
        b.add("blk." + std::to_string(layer) + ".twice", x, x);
    }
    const std::string text = program_text(b.build().view());
    expect_piece(text, "... 4 more layers like the one above");
    EXPECT_EQ(text.find("blk.3"), std::string::npos);
}

TEST(Print, LayersThatReadTheOneBeforeAreRepeatedToo) {
    ProgramBuilder b;
    const Dim tokens = Dim::of(b.symbol("T", 4));
    ValueId x = b.input("x", 0, TENON_F32, {tokens, 4});
    for (uint32_t layer = 0; layer < 12; ++layer) {
        b.set_layer(layer);
        x = b.add("blk." + std::to_string(layer) + ".sum", x, x);
    }
    const std::string text = program_text(b.build().view());
    expect_piece(text, "blk.1.sum f32[T,4] = add(blk.0.sum, blk.0.sum)");
    expect_piece(text, "... 10 more layers like the one above");
}

TEST(Print, AttributesThatAreNotTheUsualOnes) {
    ProgramBuilder b;
    const ValueId x = b.input("x", 0, TENON_F32, {4, 4});
    const ValueId w = b.weight("w", 0, {4, 4});
    b.embed("e", w, b.input("ids", 1, TENON_I32, {4}), 2.5f);
    b.matmul_glu("silu", x, w, w, TENON_ACT_SILU);
    b.matmul_glu("gelu", x, w, w, TENON_ACT_GELU_TANH);
    b.softcap("capped", x, 30);
    const ValueId bounds = b.input("bounds", 2, TENON_I32, {4});
    tenon_attr_paged_attn attn{sizeof attn, 1, 1, 4, 4, 0, 24, 0.5f, 0};
    b.paged_attn("attn", x, b.kv(), bounds, bounds, bounds, attn);
    const std::string text = program_text(b.build().view());
    expect_piece(text, "= embed(w f32[4,4], ids, scale: 2.5)");
    expect_piece(text, "= matmul_glu(x, w f32[4,4], w f32[4,4])");
    expect_piece(text, "= matmul_glu(x, w f32[4,4], w f32[4,4], activation: gelu_tanh)");
    expect_piece(text, "= softcap(x, cap: 30)");
    expect_piece(text, "= paged_attn(x, kv, bounds, bounds, bounds, window: 24)");
}

TEST(Print, DotQuotesNames) {
    ProgramBuilder b;
    const ValueId x = b.input("a\"b\n", 0, TENON_F32, {4});
    b.add("sum", x, x);
    const std::string dot = program_dot(b.build().view());
    expect_piece(dot, "digraph program {");
    expect_piece(dot, "a\\\"b\\\\x0a");
    expect_piece(dot, "v0 -> n0;");
    expect_piece(dot, "n0 [label=\"add\\nsum\"];");
}

}  // namespace
