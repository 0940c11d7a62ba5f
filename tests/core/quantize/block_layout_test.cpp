#include "core/quantize/block_layout.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include <tenon/reference/dequant.h>

#include "core/formats/format_list.h"
#include "tests/core/quantize/random_format.h"

namespace tenon::quantize {
namespace {

// Random codes stored in a block are read back by the reference reader, every array at once.
void expect_inverse(const tenon_format& format, uint64_t seed) {
    SCOPED_TRACE(std::string(format.id.p, format.id.n) + " seed " + std::to_string(seed));
    const Result<BlockLayout> layout = BlockLayout::create(format);
    ASSERT_TRUE(layout.ok()) << layout.error().message;
    std::mt19937_64 random(seed);
    const auto draw = [&](const CodeArray& array) {
        std::vector<uint32_t> codes(array.count());
        for (uint32_t& code : codes)
            code = array.values()[random() % array.values().size()];
        return codes;
    };
    for (int round = 0; round < 4; ++round) {
        const std::vector<uint32_t> codes = draw(layout->codes()), scales = draw(layout->scales()),
                                    mins = draw(layout->mins());
        std::vector<std::byte> block(format.block_bytes);
        layout->store(layout->codes(), codes.data(), block.data());
        layout->store(layout->scales(), scales.data(), block.data());
        layout->store(layout->mins(), mins.data(), block.data());
        layout->finish(block.data());
        const auto* bytes = reinterpret_cast<const unsigned char*>(block.data());
        for (uint32_t i = 0; i < codes.size(); ++i) {
            const int32_t wanted = format.packing == TENON_PACK_BYTES
                                       ? static_cast<int8_t>(codes[i])
                                       : static_cast<int32_t>(codes[i]);
            ASSERT_EQ(reference::load_code(format, bytes, i), wanted) << i;
        }
        for (uint32_t g = 0; g < scales.size(); ++g)
            ASSERT_EQ(reference::load_digits(format.scale_fields, format.n_scale_fields, bytes, g),
                      scales[g]);
        for (uint32_t g = 0; g < mins.size(); ++g)
            ASSERT_EQ(reference::load_digits(format.min_fields, format.n_min_fields, bytes, g),
                      mins[g]);
    }
}

TEST(BlockLayout, IsTheInverseOfTheReaderForEveryStoredFormat) {
    for (const formats::StoredFormat& stored : formats::stored_formats())
        if (stored.format.cls != TENON_FORMAT_FLOAT) expect_inverse(stored.format, 1);
}

TEST(BlockLayout, IsTheInverseOfTheReaderForRandomDescriptions) {
    for (uint64_t seed = 0; seed < 3000; ++seed) {
        const auto made = random_format(seed);
        ASSERT_EQ(reference::format_problem(made->format), nullptr) << seed;
        ASSERT_NO_FATAL_FAILURE(expect_inverse(made->format, seed));
    }
}

TEST(BlockLayout, RefusesNumbersThatShareABit) {
    tenon_format format = formats::find_format("q4_k")->format;
    format.min_offset = format.scale_offset + 1;
    Result<BlockLayout> layout = BlockLayout::create(format);
    ASSERT_FALSE(layout.ok());
    EXPECT_EQ(layout.error().code, Code::kUnsupported);
    EXPECT_NE(layout.error().message.find("share a bit"), std::string::npos);

    format = formats::find_format("tq1_0")->format;
    tenon_bit_field fields[4];
    std::copy_n(format.code_fields, 3, fields);
    fields[2].offset = fields[0].offset;  // the last codes over the first ones' trits
    format.code_fields = fields;
    layout = BlockLayout::create(format);
    ASSERT_FALSE(layout.ok());
    EXPECT_NE(layout.error().message.find("share a bit"), std::string::npos);
}

TEST(BlockLayout, RefusesCodesOfDifferentWidthsAndWhatTheReaderRefuses) {
    tenon_format format = formats::find_format("q5_0")->format;
    tenon_bit_field fields[2] = {format.code_fields[0], format.code_fields[1]};
    fields[1].count = 16;  // half of the codes lose their fifth bit
    format.code_fields = fields;
    Result<BlockLayout> layout = BlockLayout::create(format);
    ASSERT_FALSE(layout.ok());
    EXPECT_NE(layout.error().message.find("differ in their width"), std::string::npos);

    format = formats::find_format("q4_0")->format;
    format.group = 7;
    layout = BlockLayout::create(format);
    ASSERT_FALSE(layout.ok());
    EXPECT_NE(layout.error().message.find("group does not divide"), std::string::npos);
}

}  // namespace
}  // namespace tenon::quantize
