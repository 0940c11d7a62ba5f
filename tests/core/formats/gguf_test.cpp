#include "core/formats/gguf.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/core/formats/gguf_builder.h"

namespace tenon::formats {
namespace {

namespace fs = std::filesystem;

class Gguf : public testing::Test {
protected:
    void parse(const GgufBuilder& builder) {
        bytes_ = builder.bytes();
        auto file = parse_gguf(view(bytes_));
        ASSERT_TRUE(file.ok()) << file.error().message;
        file_ = std::move(file).value();
    }
    std::string bytes_;
    GgufFile file_;
};

TEST_F(Gguf, GetsValuesByKeyAndType) {
    parse(GgufBuilder()
              .number("u", 7u)
              .number("wide", uint64_t{9})
              .number("minus", int8_t{-3})
              .number("f", 0.5f)
              .number("d", 0.25)
              .number("yes", true)
              .text("s", "text")
              .texts("list", {"a", "", "ccc"})
              .numbers("ids", std::vector<int32_t>{1, -2})
              .numbers("scores", std::vector<float>{1.5f}));
    EXPECT_EQ(file_.get_u32("u").value(), 7u);
    EXPECT_EQ(file_.get_u32("wide").value(), 9u);
    EXPECT_EQ(file_.get_i32("minus").value(), -3);
    EXPECT_EQ(file_.get_i64("minus").value(), -3);
    EXPECT_EQ(file_.get_f32("f").value(), 0.5f);
    EXPECT_EQ(file_.get_f32("d").value(), 0.25f);
    EXPECT_EQ(file_.get_bool("yes").value(), true);
    EXPECT_EQ(file_.get_string("s").value(), "text");
    const auto list = file_.get_strings("list");
    ASSERT_TRUE(list.ok());
    EXPECT_EQ(std::vector<std::string_view>(list->begin(), list->end()),
              (std::vector<std::string_view>{"a", "", "ccc"}));
    const auto ids = file_.get_array<int32_t>("ids");
    ASSERT_TRUE(ids.ok());
    ASSERT_EQ(ids->size(), 2u);
    EXPECT_EQ((*ids)[1], -2);
    EXPECT_EQ(file_.get_array<float>("scores").value()[0], 1.5f);
    EXPECT_EQ(file_.pairs()[0].key, "u");
    EXPECT_EQ(file_.pairs().size(), 10u);
}

TEST_F(Gguf, ErrorsNameKeyWantedAndSeenType) {
    parse(GgufBuilder()
              .number("u", 7u)
              .number("minus", -1)
              .number("big", uint64_t{1} << 40)
              .text("s", "x")
              .numbers("ids", std::vector<int32_t>{1}));
    EXPECT_EQ(file_.get_u32("gone").error().message, "key gone is missing; a u32 is wanted");
    EXPECT_EQ(file_.get_u32("s").error().message, "key s is a string; a u32 is wanted");
    EXPECT_EQ(file_.get_u32("minus").error().message, "key minus is -1, which is not a u32");
    EXPECT_EQ(file_.get_u64("minus").error().message, "key minus is -1, which is not a u64");
    EXPECT_EQ(file_.get_u32("big").error().message, "key big is 1099511627776, which is not a u32");
    EXPECT_EQ(file_.get_i32("big").error().message,
              "key big is 1099511627776, which is not an i32");
    EXPECT_EQ(file_.get_f32("u").error().message, "key u is a u32; an f32 is wanted");
    EXPECT_EQ(file_.get_bool("u").error().message, "key u is a u32; a bool is wanted");
    EXPECT_EQ(file_.get_string("ids").error().message,
              "key ids is an array of i32; a string is wanted");
    EXPECT_EQ(file_.get_strings("ids").error().message,
              "key ids is an array of i32; an array of string is wanted");
    EXPECT_EQ(file_.get_array<float>("s").error().message,
              "key s is a string; an array of f32 is wanted");
    EXPECT_EQ(file_.get_tensor("w").error().message, "tensor w is missing");
}

TEST_F(Gguf, FallbackServesAbsentKeysOnly) {
    parse(GgufBuilder().number("u", 7u).text("s", "x"));
    EXPECT_EQ(file_.get_u32_or("u", 1).value(), 7u);
    EXPECT_EQ(file_.get_u32_or("gone", 1).value(), 1u);
    EXPECT_FALSE(file_.get_u32_or("s", 1).ok());
    EXPECT_EQ(file_.get_f32_or("gone", 2.5f).value(), 2.5f);
    EXPECT_TRUE(file_.get_bool_or("gone", true).value());
    EXPECT_EQ(file_.get_string_or("s", "y").value(), "x");
    EXPECT_EQ(file_.get_string_or("gone", "y").value(), "y");
}

TEST_F(Gguf, FindsTensorsByName) {
    parse(GgufBuilder().tensor("b", "f32", {2}).tensor("a", "f16", {3}));
    ASSERT_TRUE(file_.get_tensor("a").ok());
    EXPECT_EQ(file_.get_tensor("a").value()->format->name, "f16");
    EXPECT_EQ(file_.find_tensor("c"), nullptr);
    EXPECT_EQ(file_.find_tensor(""), nullptr);
}

TEST_F(Gguf, DescribesValues) {
    parse(GgufBuilder()
              .number("u", 7u)
              .text("s", "a\nb")
              .texts("list", {"x", "y"})
              .numbers("many", std::vector<int32_t>(1000, 5))
              .texts("none", {}));
    EXPECT_EQ(describe(*file_.find("u")), "7");
    EXPECT_EQ(describe(*file_.find("s")), "\"a\\x0ab\"");
    EXPECT_EQ(describe(*file_.find("list")), "[2 x string] \"x\", \"y\"");
    EXPECT_EQ(describe(*file_.find("many"), 20), "[1000 x i32] 5, 5, 5, ...");
    EXPECT_EQ(describe(*file_.find("none")), "[0 x string]");
}

TEST(LoadGguf, NamesTheFileInEveryError) {
    std::string folder = (fs::temp_directory_path() / "tenon-gguf-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/model.gguf";
    std::ofstream(path, std::ios::binary) << GgufBuilder().tensor("w", "f32", {4}).bytes();
    {
        auto loaded = load_gguf(path);
        ASSERT_TRUE(loaded.ok()) << loaded.error().message;
        const LoadedGguf moved = std::move(loaded).value();
        EXPECT_EQ(moved.gguf.tensors()[0].bytes.data(),
                  moved.file.bytes().data() + moved.gguf.tensors()[0].offset);
    }
    fs::resize_file(path, 30);
    const auto cut = load_gguf(path);
    ASSERT_FALSE(cut.ok());
    EXPECT_EQ(cut.error().message.rfind(path + ": truncated: ", 0), 0u) << cut.error().message;
    EXPECT_FALSE(load_gguf(folder).ok());
    fs::remove_all(folder);
}

}  // namespace
}  // namespace tenon::formats
