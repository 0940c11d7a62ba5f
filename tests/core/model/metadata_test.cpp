#include "core/model/metadata.h"

#include "tests/core/formats/gguf_builder.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tenon::model {
namespace {

using formats::GgufBuilder;

// The pooling of a file whose metadata `builder` wrote.
Result<tenon_pool_kind> pooling_of(const GgufBuilder& builder) {
    const formats::BuiltGguf built = builder.build();
    TENON_TRY(const formats::GgufFile file,
              formats::parse_gguf(std::as_bytes(std::span(built.bytes))));
    return Metadata(file, "llama").pooling();
}

TEST(Metadata, PoolingFollowsTheFileAndIsLastWithoutAWord) {
    EXPECT_EQ(pooling_of(GgufBuilder().number("x", 1u)).value(), TENON_POOL_LAST);
    const tenon_pool_kind wanted[] = {TENON_POOL_LAST, TENON_POOL_MEAN, TENON_POOL_FIRST,
                                      TENON_POOL_LAST};
    for (uint32_t stored = 0; stored < 4; ++stored)
        EXPECT_EQ(pooling_of(GgufBuilder().number("llama.pooling_type", stored)).value(),
                  wanted[stored]);
    const Result<tenon_pool_kind> rank = pooling_of(GgufBuilder().number("llama.pooling_type", 4u));
    ASSERT_FALSE(rank.ok());
    EXPECT_EQ(rank.error().code, Code::kUnsupported);
    EXPECT_EQ(rank.error().message,
              "llama.pooling_type is 4; known are 1 (mean), 2 (first) and 3 (last)");
}

// The layers that `key` of a file tells.
Result<std::vector<bool>> layers_of(const GgufBuilder& builder, uint32_t n) {
    const formats::BuiltGguf built = builder.build();
    TENON_TRY(const formats::GgufFile file,
              formats::parse_gguf(std::as_bytes(std::span(built.bytes))));
    return Metadata(file, "m").layers("pattern", n, 3);
}

TEST(Metadata, LayersComeFromAPeriodOrOneByOne) {
    using Bools = std::vector<bool>;
    EXPECT_EQ(layers_of(GgufBuilder().number("x", 1u), 4).value(),
              (Bools{true, true, false, true}));
    EXPECT_EQ(layers_of(GgufBuilder().number("m.pattern", 2u), 3).value(),
              (Bools{true, false, true}));
    EXPECT_EQ(layers_of(GgufBuilder().number("m.pattern", 1u), 2).value(), (Bools{false, false}));
    EXPECT_EQ(layers_of(GgufBuilder().numbers("m.pattern", Bools{false, true}), 2).value(),
              (Bools{false, true}));
    EXPECT_EQ(layers_of(GgufBuilder().numbers("m.pattern", Bools{false, true}), 3).error().message,
              "m.pattern is an array of 2 x bool; expected bool for each of 3 layers");
    EXPECT_EQ(
        layers_of(GgufBuilder().numbers("m.pattern", std::vector<float>{1}), 1).error().message,
        "m.pattern is an array of 1 x f32; expected bool for each of 1 layers");
    EXPECT_FALSE(layers_of(GgufBuilder().number("m.pattern", 0u), 3).ok());
}

TEST(Metadata, CountsOfNoneAndNumbersThatMustBeThere) {
    const formats::BuiltGguf built = GgufBuilder()
                                         .number("m.zero", 0u)
                                         .number("m.many", 9u)
                                         .number("m.nan", NAN)
                                         .number("m.f0", 0.0f)
                                         .build();
    const formats::GgufFile file =
        formats::parse_gguf(std::as_bytes(std::span(built.bytes))).value();
    const Metadata metadata(file, "m");
    EXPECT_EQ(metadata.count_or_none("zero", 8).value(), 0u);
    EXPECT_EQ(metadata.count_or_none("absent", 8).value(), 0u);
    EXPECT_EQ(metadata.count_or_none("many", 8).error().message, "m.many is 9; expected 0 to 8");
    EXPECT_EQ(metadata.positive_or("absent", 2).value(), 2.0f);
    EXPECT_FALSE(metadata.positive("absent").ok());
    EXPECT_EQ(metadata.positive_or_none("absent", 2).value(), 2.0f);
    EXPECT_EQ(metadata.positive_or_none("f0", 2).value(), 2.0f);
    EXPECT_FALSE(metadata.positive_or_none("nan", 2).ok());
    EXPECT_FALSE(metadata.positive_or("f0", 2).ok());
    EXPECT_EQ(metadata.positive_or("nan", 2).error().message,
              "m.nan is nan; expected a finite number above 0");
}

}  // namespace
}  // namespace tenon::model
