#include "core/model/metadata.h"

#include "tests/core/formats/gguf_builder.h"

#include <gtest/gtest.h>

namespace tenon::model {
namespace {

using formats::GgufBuilder;

// The pooling of a file whose metadata `builder` wrote.
Result<tenon_pool_kind> pooling_of(const GgufBuilder& builder) {
    const formats::BuiltGguf built = builder.build();
    TENON_TRY(const formats::GgufFile file, formats::parse_gguf(std::as_bytes(std::span(built.bytes))));
    return Metadata(file, "llama").pooling();
}

TEST(Metadata, PoolingFollowsTheFileAndIsLastWithoutAWord) {
    EXPECT_EQ(pooling_of(GgufBuilder().number("x", 1u)).value(), TENON_POOL_LAST);
    const tenon_pool_kind wanted[] = {TENON_POOL_LAST, TENON_POOL_MEAN, TENON_POOL_FIRST, TENON_POOL_LAST};
    for (uint32_t stored = 0; stored < 4; ++stored)
        EXPECT_EQ(pooling_of(GgufBuilder().number("llama.pooling_type", stored)).value(), wanted[stored]);
    const Result<tenon_pool_kind> rank = pooling_of(GgufBuilder().number("llama.pooling_type", 4u));
    ASSERT_FALSE(rank.ok());
    EXPECT_EQ(rank.error().code, Code::kUnsupported);
    EXPECT_EQ(rank.error().message,
              "llama.pooling_type is 4; known are 1 (mean), 2 (first) and 3 (last)");
}

} // namespace
} // namespace tenon::model
