#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/formats/gguf.h"
#include "tests/core/formats/gguf_builder.h"
#include "tests/core/formats/gguf_invariants.h"

namespace tenon::formats {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
constexpr uint32_t kF32 = 0, kQ4_0 = 2;

// The sentence a file is refused with; "loaded" when it is not.
std::string refusal(const std::string& bytes, const GgufLimits& limits = {}) {
    const auto file = parse_gguf(view(bytes), limits);
    return file.ok() ? "loaded" : file.error().message;
}

Code refusal_code(const std::string& bytes) {
    const auto file = parse_gguf(view(bytes));
    return file.ok() ? Code::kOk : file.error().code;
}

void overwrite(std::string& bytes, size_t at, uint64_t value, size_t width = 8) {
    std::memcpy(bytes.data() + at, &value, width);
}

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(GgufParser, ReadsValidFilesOfBothVersions) {
    for (uint64_t seed = 0; seed < 40; ++seed) {
        const std::string bytes = random_gguf(seed).bytes;
        const auto file = parse_gguf(view(bytes));
        ASSERT_TRUE(file.ok()) << "seed " << seed << ": " << file.error().message;
        EXPECT_EQ(file->version(), 2 + seed % 2);
        EXPECT_EQ(broken_promise(*file, view(bytes)), "") << "seed " << seed;
    }
}

TEST(GgufParser, PlacesTensorsWhereTheyWereWritten) {
    GgufBuilder builder;
    builder.tensor("a", "q4_1", {64, 2}, 1)
        .tensor("b", "f32", {3}, 2)
        .tensor("c", "bf16", {1, 2, 3, 4}, 3);
    const std::string bytes = builder.bytes();
    const auto file = parse_gguf(view(bytes));
    ASSERT_TRUE(file.ok()) << file.error().message;
    ASSERT_EQ(file->tensors().size(), 3u);
    const GgufTensor& a = file->tensors()[0];
    EXPECT_EQ(a.name, "a");
    EXPECT_EQ(a.format->name, "q4_1");
    EXPECT_EQ(a.cols(), 64u);
    EXPECT_EQ(a.rows(), 2u);
    EXPECT_EQ(a.bytes.size(), 80u);
    EXPECT_EQ(a.offset, file->data_offset());
    const GgufTensor& c = file->tensors()[2];
    EXPECT_EQ(c.dim_count, 4u);
    EXPECT_EQ(c.rows(), 24u);
    EXPECT_EQ(c.bytes.size(), 48u);
    std::mt19937_64 random(3);
    for (const std::byte b : c.bytes)
        ASSERT_EQ(static_cast<char>(b), static_cast<char>(random()));
}

// F30
TEST(GgufParser, RefusesWhatIsNotALittleEndianGguf2Or3) {
    EXPECT_HAS(refusal(""), "needs 4 bytes, has 0 bytes");
    EXPECT_HAS(refusal("GGU"), "needs 4 bytes, has 3 bytes");
    EXPECT_EQ(refusal(std::string("\x7f"
                                  "ELF\2\0\0\0",
                                  8)),
              "not a GGUF file: it starts with \"\\x7fELF\", wants \"GGUF\" (file offset 0x0)");
    GgufBuilder builder;
    for (const uint32_t version : {0u, 1u, 4u, 0xffffffffu}) {
        builder.version = version;
        EXPECT_HAS(refusal(builder.bytes()),
                   "GGUF version " + std::to_string(version) + " is not supported, wants 2 or 3");
        EXPECT_EQ(refusal_code(builder.bytes()), Code::kUnsupported);
    }
    builder.version = 0x03000000;
    EXPECT_HAS(refusal(builder.bytes()), "big-endian");
}

// F31
TEST(GgufParser, RefusesCountsAndLengthsNoFileCanHold) {
    const BuiltGguf valid = random_gguf(11);
    for (const uint64_t huge :
         {kMax, kMax - 7, uint64_t{1} << 63, uint64_t{1} << 62, uint64_t{1} << 32}) {
        for (const GgufField& field : valid.fields) {
            if (field.width != 8) continue;
            std::string bytes = valid.bytes;
            overwrite(bytes, field.offset, huge);
            const auto file = parse_gguf(view(bytes));
            const std::string broken = file.ok() ? broken_promise(*file, view(bytes)) : "";
            EXPECT_EQ(broken, "") << field.offset;
        }
        std::string bytes = valid.bytes;
        overwrite(bytes, 8, huge);
        EXPECT_EQ(refusal(bytes),
                  std::to_string(huge) + " tensors, the limit is 65536 (file offset 0x8)");
        bytes = valid.bytes;
        overwrite(bytes, 16, huge);
        EXPECT_HAS(refusal(bytes), std::to_string(huge) + " key-value pairs, the limit is 65536");
    }
    std::string bytes = GgufBuilder().text("k", "value").bytes();
    overwrite(bytes, 24, kMax);  // length of the key
    EXPECT_HAS(
        refusal(bytes),
        "key-value pair 0: truncated: a key at offset 0x20 claims 18446744073709551615 bytes");
    bytes = GgufBuilder().bytes();
    overwrite(bytes, 8, 65'536);
    EXPECT_HAS(refusal(bytes),
               "the index of 0 key-value pairs and 65536 tensors at offset 0x18 needs");
}

// F32
TEST(GgufParser, SaysWhatATruncatedFileNeeds) {
    GgufBuilder builder;
    builder.pad_last_tensor = false;
    builder.text("general.architecture", "llama").numbers("n", std::vector<int32_t>{1, 2, 3});
    builder.texts("t", {"one", "two"}).tensor("w", "q8_0", {64, 4}).tensor("v", "f32", {5});
    const BuiltGguf valid = builder.build();
    ASSERT_EQ(refusal(valid.bytes), "loaded");
    for (size_t size = 0; size < valid.bytes.size(); ++size) {
        const std::string cut = valid.bytes.substr(0, size);
        const auto file = parse_gguf(view(cut));
        ASSERT_FALSE(file.ok()) << size;
        EXPECT_EQ(file.error().code, Code::kData) << file.error().message;
        EXPECT_HAS(file.error().message, "has " + std::to_string(size) + " bytes");
        EXPECT_HAS(file.error().message, "needs ");
        if (size >= valid.header_bytes) {
            EXPECT_HAS(file.error().message,
                       "the file needs " + std::to_string(valid.bytes.size()) + " bytes");
        }
    }
    const std::string cut = valid.bytes.substr(0, valid.bytes.size() - 1);
    EXPECT_HAS(refusal(cut), "tensor v is the first that is cut");
}

// F33
TEST(GgufParser, RefusesOverlapMisalignmentAndDuplicates) {
    const auto two = [](uint64_t second) {
        GgufBuilder builder;
        builder.tensor("w", "f32", {16}).tensor("pad", "f32", {64});
        builder.tensor_at("x", kF32, {16}, second);
        return builder.bytes();
    };
    EXPECT_HAS(refusal(two(32)), "tensors w and x overlap at file offset 0x");
    EXPECT_HAS(refusal(two(64)), "overlap");
    EXPECT_HAS(refusal(two(0)), "overlap");
    EXPECT_HAS(refusal(two(36)),
               "tensor x lies at offset 0x24 of the data, wants a multiple of 32");
    EXPECT_HAS(refusal(two(1 << 20)), "needs ");
    EXPECT_HAS(refusal(two(kMax - 31)), "does not fit in 64 bits");
    EXPECT_HAS(refusal(two(uint64_t{1} << 63)), "needs 9223372036854");
    EXPECT_HAS(refusal(GgufBuilder().number("a", 1u).text("b", "x").number("a", 2u).bytes()),
               "key a is there twice (file offsets 0x18 and 0x");
    EXPECT_HAS(refusal(GgufBuilder().tensor("w", "f32", {1}).tensor("w", "f32", {1}).bytes()),
               "tensor w is there twice (file offsets 0x18 and 0x");
}

// F34
TEST(GgufParser, RefusesTypesAndShapesThatMakeNoSense) {
    EXPECT_HAS(refusal(GgufBuilder().tensor_at("w", 16, {256}, 0).bytes()),
               "tensor w: stored as iq2_xxs (type 16), which is not supported; the formats read "
               "are f32, f16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k, q8_k, "
               "iq4_nl, iq4_xs, bf16, tq1_0, tq2_0, mxfp4 (file offset 0x");
    EXPECT_EQ(refusal_code(GgufBuilder().tensor_at("w", 16, {256}, 0).bytes()), Code::kUnsupported);
    EXPECT_HAS(refusal(GgufBuilder().tensor_at("w", 4242, {256}, 0).bytes()),
               "tensor w: tensor type 4242 is unknown");
    EXPECT_EQ(
        refusal(GgufBuilder().tensor_at("blk.3.attn_q", kQ4_0, {4612, 2}, 0).bytes()),
        "tensor blk.3.attn_q has 4612 columns; q4_0 needs a multiple of 32 (file offset 0x18)");
    EXPECT_HAS(refusal(GgufBuilder().tensor_at("w", kF32, {0, 4}, 0).bytes()),
               "tensor w: dimension 0 is 0");
    EXPECT_HAS(refusal(GgufBuilder().tensor_at("w", kF32, {4, 0}, 0).bytes()),
               "tensor w: dimension 1 is 0");
    EXPECT_HAS(refusal(GgufBuilder().tensor_at("w", kF32, {}, 0).bytes()),
               "it has 0 dimensions, wants 1 to 4");
    EXPECT_HAS(refusal(GgufBuilder().tensor_at("w", kF32, {1, 1, 1, 1, 1}, 0).bytes()),
               "it has 5 dimensions");
    EXPECT_HAS(refusal(GgufBuilder().tensor_at("w", kF32, {1ull << 32, 1ull << 32}, 0).bytes()),
               "does not fit in 64 bits");
    EXPECT_HAS(refusal(GgufBuilder().tensor_at("w", kQ4_0, {1ull << 62, 2}, 0).bytes()),
               "does not fit in 64 bits");
    EXPECT_HAS(refusal(GgufBuilder().tensor_at("w", kF32, {1ull << 60}, 0).bytes()),
               "needs 4611686018427387968 bytes");
    EXPECT_HAS(refusal(GgufBuilder().tensor_at("", kF32, {1}, 0).bytes()),
               "tensor 0 has an empty name");
}

TEST(GgufParser, RefusesBadAlignment) {
    for (const uint32_t alignment : {0u, 1u, 4u, 12u, 131'072u, 0x80000000u})
        EXPECT_HAS(refusal(GgufBuilder().number("general.alignment", alignment).bytes()),
                   "general.alignment is " + std::to_string(alignment) +
                       ", wants a power of two from 8 to 65536");
    EXPECT_HAS(refusal(GgufBuilder().text("general.alignment", "32").bytes()),
               "key general.alignment is a string; a u32 is wanted");
    GgufBuilder builder;
    builder.alignment = 65'536;
    builder.number("general.alignment", builder.alignment).tensor("w", "f32", {4});
    EXPECT_EQ(refusal(builder.bytes()), "loaded");
}

TEST(GgufParser, RefusesBadValues) {
    EXPECT_HAS(refusal(GgufBuilder().pair_of("k", 13, "xxxx").bytes()),
               "key k: value type 13 is unknown, wants 0 to 12");
    EXPECT_HAS(refusal(GgufBuilder().pair_of("k", 7, "\2").bytes()),
               "key k: a bool is 2, wants 0 or 1");
    EXPECT_HAS(refusal(GgufBuilder().number("", 1u).bytes()), "key-value pair 0 has an empty key");
    const std::string nested = GgufBuilder::raw<uint32_t>(9) + GgufBuilder::raw<uint64_t>(1);
    EXPECT_HAS(refusal(GgufBuilder().pair_of("k", 9, nested).bytes()),
               "key k: arrays of arrays are not supported");
    const std::string bools =
        GgufBuilder::raw<uint32_t>(7) + GgufBuilder::raw<uint64_t>(2) + "\1\3";
    EXPECT_HAS(refusal(GgufBuilder().pair_of("k", 9, bools).bytes()), "key k: a bool is 3");
    const std::string wraps =
        GgufBuilder::raw<uint32_t>(10) + GgufBuilder::raw<uint64_t>((1ull << 61) + 1);
    EXPECT_HAS(refusal(GgufBuilder().pair_of("k", 9, wraps + "12345678").bytes()), "claims");
    EXPECT_HAS(refusal(GgufBuilder().pair_of("bad\n\x1b", 13, "").bytes()), "key bad\\x0a\\x1b: ");
}

TEST(GgufParser, KeepsEveryLimit) {
    const GgufBuilder builder = std::move(GgufBuilder()
                                              .text("key", "0123456789")
                                              .texts("array", {"a", "b", "c"})
                                              .tensor("name", "f32", {4, 2}));
    const std::string bytes = builder.bytes();
    const auto with = [&](auto change) {
        GgufLimits limits;
        change(limits);
        return refusal(bytes, limits);
    };
    EXPECT_EQ(with([](GgufLimits&) {}), "loaded");
    EXPECT_HAS(with([](GgufLimits& l) { l.pairs_max = 1; }), "2 key-value pairs, the limit is 1");
    EXPECT_HAS(with([](GgufLimits& l) { l.tensors_max = 0; }), "1 tensors, the limit is 0");
    EXPECT_HAS(with([](GgufLimits& l) { l.dims_max = 1; }), "it has 2 dimensions, wants 1 to 1");
    EXPECT_HAS(with([](GgufLimits& l) { l.name_bytes_max = 3; }),
               "a tensor name has 4 bytes, the limit is 3");
    EXPECT_HAS(with([](GgufLimits& l) { l.key_bytes_max = 4; }),
               "a key has 5 bytes, the limit is 4");
    EXPECT_HAS(with([](GgufLimits& l) { l.string_bytes_max = 9; }),
               "a string has 10 bytes, the limit is 9");
    EXPECT_HAS(with([](GgufLimits& l) { l.array_elements_max = 2; }),
               "an array has 3 elements, the limit is 2");
    EXPECT_HAS(with([](GgufLimits& l) { l.alignment_max = 16; }), "general.alignment is 32");
    EXPECT_HAS(with([](GgufLimits& l) { l.metadata_bytes_max = 60; }), "metadata passes 60 bytes");
    EXPECT_HAS(refusal(GgufBuilder().tensor(std::string(64, 'n'), "f32", {1}).bytes()),
               "a tensor name has 64 bytes, the limit is 63");
    EXPECT_EQ(refusal(GgufBuilder().tensor(std::string(63, 'n'), "f32", {1}).bytes()), "loaded");
}

}  // namespace
}  // namespace tenon::formats
