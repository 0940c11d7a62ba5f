#include "core/formats/gguf_split.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/core/formats/gguf_builder.h"

namespace tenon::formats {
namespace {

namespace fs = std::filesystem;

TEST(SplitName, ReadsAndWritesPaths) {
    const auto name = find_split_name("/m/some-7b-00002-of-00010.gguf");
    ASSERT_TRUE(name.has_value());
    EXPECT_EQ(name->stem, "/m/some-7b");
    EXPECT_EQ(name->part, 1u);
    EXPECT_EQ(name->count, 10u);
    EXPECT_EQ(split_path(*name, 9), "/m/some-7b-00010-of-00010.gguf");
    for (const char* other :
         {"model.gguf", "-00001-of-00002.gguf", "m-00000-of-00002.gguf", "m-00003-of-00002.gguf",
          "m-0001-of-0002.gguf", "m-00001-of-00002.bin", "m-0000a-of-00002.gguf",
          "m-+0001-of-00002.gguf", "m00001-of-00002.gguf", ""})
        EXPECT_FALSE(find_split_name(other).has_value()) << other;
}

// A model of `count` parts, two tensors in each, written to a folder of its own; a test bends a part
// before it is written.
class Split : public testing::Test {
protected:
    void SetUp() override {
        folder_ = (fs::temp_directory_path() / "tenon-split-XXXXXX").string();
        ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    }
    void TearDown() override { fs::remove_all(folder_); }

    std::string path(uint32_t part, uint32_t count = 3) const {
        return split_path({folder_ + "/m", part, count}, part);
    }
    static GgufBuilder part_of(uint32_t part, uint16_t number, uint16_t count = 3,
                               int32_t tensors = 6, const std::string& names = "") {
        GgufBuilder file;
        if (part == 0) file.text("general.architecture", "llama").text("general.name", "toy");
        file.number("split.no", number).number("split.count", count);
        file.number("split.tensors.count", tensors);
        const std::string place = names.empty() ? std::to_string(part) : names;
        file.tensor("blk." + place + ".b", "f32", {4}, part + 1);
        file.tensor("blk." + place + ".a", "q8_0", {64, 2}, part + 7);
        return file;
    }
    void write(uint32_t part, const GgufBuilder& file, uint32_t count = 3) const {
        std::ofstream(path(part, count), std::ios::binary) << file.bytes();
    }
    void write_all() const {
        for (uint16_t i = 0; i < 3; ++i)
            write(i, part_of(i, i));
    }
    // The message of load_gguf, which must refuse.
    std::string refusal(uint32_t part = 0) const {
        const auto loaded = load_gguf(path(part));
        EXPECT_FALSE(loaded.ok());
        return loaded.ok() ? std::string() : loaded.error().message;
    }

    std::string folder_;
};

TEST_F(Split, AnyPartOpensTheModel) {
    write_all();
    for (uint32_t given = 0; given < 3; ++given) {
        auto loaded = load_gguf(path(given));
        ASSERT_TRUE(loaded.ok()) << loaded.error().message;
        const LoadedGguf model = std::move(loaded).value();
        EXPECT_EQ(model.gguf.part_count(), 3u);
        EXPECT_EQ(model.parts.size(), 2u);
        EXPECT_EQ(model.gguf.get_string("general.name").value(), "toy");
        ASSERT_EQ(model.gguf.tensors().size(), 6u);
        for (uint32_t part = 0; part < 3; ++part) {
            const std::string stem = "blk." + std::to_string(part);
            const GgufTensor* tensor = model.gguf.get_tensor(stem + ".a").value();
            const MappedFile& file = part == 0 ? model.file : model.parts[part - 1];
            EXPECT_EQ(file.path(), path(part));
            EXPECT_EQ(tensor->part, part);
            EXPECT_EQ(tensor->bytes.data(), file.bytes().data() + tensor->offset);
            const BuiltGguf alone = part_of(part, static_cast<uint16_t>(part)).build();
            EXPECT_EQ(as_text(tensor->bytes),
                      std::string_view(alone.bytes).substr(tensor->offset, 136));
            model.release(tensor->bytes);
            EXPECT_EQ(as_text(tensor->bytes),
                      std::string_view(alone.bytes).substr(tensor->offset, 136));
            EXPECT_NE(model.gguf.find_tensor(stem + ".b"), nullptr);
        }
        EXPECT_TRUE(model.check_unchanged().ok());
    }
}

TEST_F(Split, NoticesAPartThatChanges) {
    write_all();
    const auto model = load_gguf(path(0));
    ASSERT_TRUE(model.ok());
    fs::resize_file(path(2), fs::file_size(path(2)) + 1);
    const Status status = model->check_unchanged();
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find(path(2)), std::string::npos) << status.error().message;
}

TEST_F(Split, APartWithoutTensorsIsFine) {
    GgufBuilder first;
    first.text("general.name", "toy").number("split.no", uint16_t{0});
    first.number("split.count", uint16_t{2}).number("split.tensors.count", 2);
    write(0, first, 2);
    write(1, part_of(1, 1, 2, 2), 2);
    const auto loaded = load_gguf(path(0, 2));
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_EQ(loaded->gguf.tensors().size(), 2u);
}

TEST_F(Split, OnePartOfOneIsAWholeFile) {
    std::ofstream(folder_ + "/whole.gguf", std::ios::binary) << part_of(0, 0, 1, 2).bytes();
    const auto loaded = load_gguf(folder_ + "/whole.gguf");
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_EQ(loaded->gguf.part_count(), 1u);
}

TEST_F(Split, NamesAMissingPart) {
    write_all();
    fs::remove(path(1));
    const std::string message = refusal(2);
    EXPECT_NE(message.find(path(1)), std::string::npos) << message;
    EXPECT_NE(message.find("part 2 of 3 of its model"), std::string::npos) << message;
}

TEST_F(Split, NamesACutPart) {
    write_all();
    fs::resize_file(path(1), fs::file_size(path(1)) - 64);
    const std::string message = refusal();
    EXPECT_NE(message.find(path(1) + ": truncated"), std::string::npos) << message;
}

TEST_F(Split, NamesASwappedPart) {
    write_all();
    fs::rename(path(1), folder_ + "/x");
    fs::rename(path(2), path(1));
    fs::rename(folder_ + "/x", path(2));
    EXPECT_EQ(refusal(), path(1) +
                             ": split.no says that it is part 3, its name says part 2; parts "
                             "were swapped or renamed");
    EXPECT_EQ(refusal(1), path(1) +
                              ": split.no says that it is part 3, its name says part 2; parts "
                              "were swapped or renamed");
}

TEST_F(Split, NamesAPartOfAnotherModel) {
    write_all();
    GgufBuilder renamed = part_of(1, 1);
    renamed.text("general.name", "other");
    write(1, renamed);
    EXPECT_EQ(refusal(), path(1) + ": key general.name is \"other\", in " + path(0) +
                             " it is \"toy\"; they are parts of different models");
    GgufBuilder more = part_of(1, 1);
    more.number("llama.block_count", 3u);
    write(1, more);
    EXPECT_EQ(refusal(), path(1) + ": key llama.block_count is 3, in " + path(0) +
                             " it is missing; they are parts of different models");
    write(1, part_of(1, 1, 3, 7));
    EXPECT_EQ(refusal(), path(1) +
                             ": split.tensors.count is 7, the 3 parts have 6 tensors; a part "
                             "is not of this model");
    write(1, part_of(1, 1, 4));
    EXPECT_EQ(refusal(), path(1) + ": split.count is 4, the names of the files say 3");
    std::ofstream(path(1), std::ios::binary) << GgufBuilder().tensor("w", "f32", {4}).bytes();
    EXPECT_EQ(refusal(), path(1) + ": split.count is 1, the names of the files say 3");
}

TEST_F(Split, NamesATensorInTwoParts) {
    write_all();
    write(2, part_of(2, 2, 3, 6, "0"));
    EXPECT_EQ(refusal(), path(2) + ": tensor blk.0.a is in " + path(0) + " too");
}

TEST_F(Split, WantsANameThatFindsTheOthers) {
    write_all();
    fs::rename(path(1), folder_ + "/m.gguf");
    const auto loaded = load_gguf(folder_ + "/m.gguf");
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().message,
              folder_ +
                  "/m.gguf: it is part 2 of 3 of a split model; its name must end in "
                  "-00002-of-00003.gguf for the others to be found");
}

TEST_F(Split, RefusesKeysThatMakeNoSense) {
    const auto message = [](uint16_t number, uint16_t count) {
        const std::string bytes = part_of(0, number, count).bytes();
        const auto file = parse_gguf(view(bytes));
        const auto parts = count_parts(file.value());
        return parts.ok() ? std::to_string(*parts) : parts.error().message;
    };
    EXPECT_EQ(message(0, 0), "split.count is 0, wants 1 to 256");
    EXPECT_EQ(message(0, 257), "split.count is 257, wants 1 to 256");
    EXPECT_EQ(message(256, 256), "split.no is 256, split.count is 256; parts count from 0");
    EXPECT_EQ(message(255, 256), "256");
    const std::string text = GgufBuilder().text("split.count", "2").bytes();
    EXPECT_EQ(count_parts(parse_gguf(view(text)).value()).error().message,
              "key split.count is a string; a u32 is wanted");
}

TEST_F(Split, AllPartsTogetherKeepTheLimits) {
    write_all();
    GgufLimits limits;
    limits.tensors_max = 5;
    const auto loaded = load_gguf(path(0), limits);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().message, path(0) +
                                          ": its 3 parts have 6 tensors and 11 key-value "
                                          "pairs, the limits are 5 and 65536");
    limits = {};
    limits.parts_max = 2;
    EXPECT_EQ(load_gguf(path(0), limits).error().message,
              path(0) + ": split.count is 3, wants 1 to 2");
}

}  // namespace
}  // namespace tenon::formats
