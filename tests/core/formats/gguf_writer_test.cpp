#include "core/formats/gguf_writer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/core/formats/gguf_builder.h"

namespace tenon::formats {
namespace {

std::string header_of(const GgufFile& file, GgufHeader& header) {
    for (const GgufPair& pair : file.pairs())
        header.add(pair.key, pair.value);
    for (const GgufTensor& tensor : file.tensors())
        header.add_tensor(tensor.name, *tensor.format,
                          std::span(tensor.dims).first(tensor.dim_count));
    return header.bytes();
}

class GgufWriterTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "tenon-gguf-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::string path() const { return folder_ / "out.gguf"; }

    std::filesystem::path folder_;
};

TEST_F(GgufWriterTest, CopiesOfRandomFilesAreTheFiles) {
    for (uint64_t seed = 0; seed < 60; ++seed) {
        SCOPED_TRACE(seed);
        const BuiltGguf built = random_gguf(seed);
        const Result<GgufFile> file = parse_gguf(view(built.bytes));
        ASSERT_TRUE(file.ok()) << file.error().message;
        GgufHeader header(file->alignment());
        const std::string head = header_of(*file, header);
        if (file->version() == 3) {
            ASSERT_EQ(head, built.bytes.substr(0, head.size()));
        }
        Result<GgufWriter> writer = GgufWriter::create(path(), header, true);
        ASSERT_TRUE(writer.ok()) << writer.error().message;
        for (const GgufTensor& tensor : file->tensors()) {
            // In two pieces, to meet the ends of tensors in several ways.
            const size_t half = tensor.bytes.size() / 2;
            ASSERT_TRUE(writer->write(tensor.bytes.first(half)).ok());
            ASSERT_TRUE(writer->write(tensor.bytes.subspan(half)).ok());
        }
        ASSERT_TRUE(writer->commit().ok());
        const uint64_t padded = align_up(built.bytes.size(), file->alignment()).value();
        EXPECT_EQ(std::filesystem::file_size(path()), padded);
        EXPECT_EQ(header.file_bytes().value(), padded);

        const Result<LoadedGguf> copy = load_gguf(path());
        ASSERT_TRUE(copy.ok()) << copy.error().message;
        ASSERT_EQ(copy->gguf.pairs().size(), file->pairs().size());
        ASSERT_EQ(copy->gguf.tensors().size(), file->tensors().size());
        for (size_t i = 0; i < file->tensors().size(); ++i) {
            const GgufTensor &a = file->tensors()[i], &b = copy->gguf.tensors()[i];
            EXPECT_EQ(a.name, b.name);
            EXPECT_EQ(a.format, b.format);
            ASSERT_TRUE(std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end()));
        }
    }
}

TEST_F(GgufWriterTest, AFileWithoutAllItsDataIsNotCommitted) {
    GgufHeader header;
    header.add("general.file_type", 7u);
    const uint64_t dims[2] = {32, 2};
    header.add_tensor("a.weight", *find_format("q8_0"), dims);
    EXPECT_EQ(header.tensor_bytes()[0], 68u);
    Result<GgufWriter> writer = GgufWriter::create(path(), header, false);
    ASSERT_TRUE(writer.ok());
    const std::vector<std::byte> data(68);
    ASSERT_TRUE(writer->write(std::span(data).first(60)).ok());
    const Status early = writer->commit();
    ASSERT_FALSE(early.ok());
    EXPECT_EQ(early.error().message, "tensor 0 lacks 8 bytes of its data");
    ASSERT_TRUE(writer->write(std::span(data).first(8)).ok());
    EXPECT_FALSE(writer->write(std::span(data).first(1)).ok());
    EXPECT_FALSE(std::filesystem::exists(path()));
}

}  // namespace
}  // namespace tenon::formats
