#include "core/formats/format_table.h"

#include <gtest/gtest.h>

#include "tests/core/formats/gguf_builder.h"

namespace tenon::formats {
namespace {

// Three bits, groups of 96, a codebook of its own; everything it points to dies with it.
struct Toy {
    std::string name = "q3_toy", id = "toy.q3/0";
    std::vector<float> codebook{-1.5f, -0.75f, -0.3f, -0.1f, 0.1f, 0.3f, 0.75f, 1.5f};
    uint32_t number = 1003, block_bytes = 38;

    StoredFormat format() const {
        tenon_format f{};
        f.size = sizeof f;
        f.cls = TENON_FORMAT_LUT_GROUP;
        f.id = {id.data(), id.size()};
        f.bits = 3;
        f.group = f.block_elems = 96;
        f.block_bytes = block_bytes;
        f.packing = TENON_PACK_LSB_FIRST;
        f.codes_offset = 2;
        f.scale_type = TENON_F16;
        f.lut = codebook.data();
        f.lut_n = static_cast<uint32_t>(codebook.size());
        return {number, name, f};
    }
};

std::string problem(FormatTable& table, const Toy& toy) {
    const Status status = table.add(toy.format(), "b/plugin.yaml:3");
    return status.ok() ? std::string() : status.error().message;
}

TEST(FormatTable, KeepsACopyOfAllThatAFormatPointsTo) {
    FormatTable table;
    {
        const Toy toy;
        ASSERT_TRUE(table.add(toy.format(), "a/plugin.yaml:3").ok());
    }
    const StoredFormat* found = table.find_gguf(1003);
    ASSERT_NE(found, nullptr);
    const FormatTable moved = std::move(table);
    EXPECT_EQ(moved.find("q3_toy"), found);
    EXPECT_EQ(moved.find("toy.q3/0"), found);
    EXPECT_EQ(found->format.lut[2], -0.3f);
    EXPECT_EQ(moved.find("q4_1"), find_format("q4_1"));
    EXPECT_EQ(moved.find_gguf(3), find_format("q4_1"));
    EXPECT_EQ(moved.find_gguf(1004), nullptr);
    EXPECT_EQ(moved.find("q3"), nullptr);
    EXPECT_EQ(moved.names().substr(moved.names().size() - 15), ", mxfp4, q3_toy");
}

TEST(FormatTable, ConflictsNameBoth) {
    FormatTable table;
    ASSERT_TRUE(table.add(Toy().format(), "a/plugin.yaml:3").ok());
    Toy toy;
    EXPECT_EQ(problem(table, toy),
              "b/plugin.yaml:3: format 'q3_toy': number 1003 is taken by "
              "'q3_toy', which a/plugin.yaml:3 declares");
    toy.number = 1004;
    EXPECT_EQ(problem(table, toy),
              "b/plugin.yaml:3: format 'q3_toy': 'q3_toy' (toy.q3/0) has that "
              "name or id, which a/plugin.yaml:3 declares");
    toy.name = "q3_other";
    EXPECT_EQ(problem(table, toy),
              "b/plugin.yaml:3: format 'q3_other': 'q3_toy' (toy.q3/0) has that "
              "name or id, which a/plugin.yaml:3 declares");
    toy.id = "toy.other/0";
    toy.number = 12;
    EXPECT_EQ(problem(table, toy),
              "b/plugin.yaml:3: format 'q3_other': number 12 is taken by "
              "'q4_k', which is built in");
    toy.number = 1004;
    toy.name = "bf16";
    EXPECT_EQ(problem(table, toy),
              "b/plugin.yaml:3: format 'bf16': 'bf16' (gguf.bf16/0) has that "
              "name or id, which is built in");
    toy.name = "q3_other";
    toy.number = 16;
    EXPECT_EQ(problem(table, toy),
              "b/plugin.yaml:3: format 'q3_other': number 16 is iq2_xxs's in "
              "published GGUF files");
    toy.number = 1004;
    toy.name = "iq2_xxs";
    EXPECT_EQ(problem(table, toy),
              "b/plugin.yaml:3: format 'iq2_xxs': the name is that of number 16 "
              "in published GGUF files");
    toy.number = 16;
    EXPECT_EQ(problem(table, toy), "");
    toy = Toy();
    toy.block_bytes = 37;
    EXPECT_EQ(problem(table, toy), "b/plugin.yaml:3: format 'q3_toy': the codes leave the block");
}

TEST(FormatTable, TheReaderAsksIt) {
    FormatTable table;
    GgufBuilder file;
    file.tensor_at("w", 1003, {96, 2}, 0);
    std::string bytes = file.bytes();
    bytes.resize(bytes.size() + 96, '\1');
    EXPECT_EQ(parse_gguf(view(bytes)).error().message,
              "tensor w: tensor type 1003 is unknown (file offset 0x35)");
    table.refuse(1003, "plugin toy, which declares it, is refused: it is not on the allowlist");
    EXPECT_EQ(
        parse_gguf(view(bytes), {}, table).error().message,
        "tensor w: tensor type 1003 is unknown; plugin toy, which declares it, is refused: it "
        "is not on the allowlist (file offset 0x35)");
    FormatTable other;
    ASSERT_TRUE(other.add(Toy().format(), "a").ok());
    const auto parsed = parse_gguf(view(bytes), {}, other);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(parsed->tensors()[0].format, other.find("q3_toy"));
    EXPECT_EQ(parsed->tensors()[0].bytes.size(), 76u);
}

}  // namespace
}  // namespace tenon::formats
