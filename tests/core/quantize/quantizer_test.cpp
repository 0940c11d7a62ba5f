#include "core/quantize/quantizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include <tenon/reference/dequant.h>

#include "tests/core/formats/gguf_builder.h"

namespace tenon::quantize {
namespace {

using formats::GgufBuilder;

class QuantizerTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "tenon-quant-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::string path(const char* name) const { return folder_ / name; }

    // A model whose random bytes are replaced by sane weights.
    std::string write_model(float spoiler = 0.5f) {
        GgufBuilder file;
        file.alignment = 64;
        file.number("general.alignment", 64u).text("general.architecture", "llama");
        file.number("general.file_type", 0u).number("llama.block_count", 1u);
        file.texts("tokenizer.ggml.tokens", {"a", "b"});
        file.tensor("token_embd.weight", "f32", {256, 40});
        file.tensor("output_norm.weight", "f32", {256});
        file.tensor("blk.0.ffn_up.weight", "f32", {96, 33});
        std::string bytes = file.bytes();
        const formats::GgufFile parsed = *formats::parse_gguf(formats::view(bytes));
        std::mt19937_64 random(9);
        std::normal_distribution<float> normal(0, 0.1f);
        for (const formats::GgufTensor& tensor : parsed.tensors()) {
            auto* x = reinterpret_cast<float*>(bytes.data() + tensor.offset);
            for (uint64_t i = 0; i < tensor.rows() * tensor.cols(); ++i)
                x[i] = normal(random);
            if (tensor.name == "blk.0.ffn_up.weight") x[96 * 7 + 5] = spoiler;
        }
        std::ofstream(path("in.gguf"), std::ios::binary) << bytes;
        return bytes;
    }
    static QuantizeOptions options(const char* format, uint32_t threads = 3) {
        QuantizeOptions out;
        out.request.format = format;
        out.threads = threads;
        return out;
    }
    size_t files() const {
        const std::filesystem::directory_iterator all(folder_);
        return static_cast<size_t>(std::distance(begin(all), end(all)));
    }

    std::filesystem::path folder_;
};

TEST_F(QuantizerTest, WritesWhatItReports) {
    write_model();
    const Result<Report> report =
        quantize_file(path("in.gguf"), path("out.gguf"), options("q4_k_m"));
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_EQ(report->file_bytes, std::filesystem::file_size(path("out.gguf")));
    const formats::LoadedGguf in = std::move(formats::load_gguf(path("in.gguf"))).value();
    const formats::LoadedGguf out = std::move(formats::load_gguf(path("out.gguf"))).value();
    EXPECT_EQ(out.gguf.alignment(), 64u);
    EXPECT_EQ(*out.gguf.get_u32("general.file_type"), 15u);
    EXPECT_EQ(*out.gguf.get_u32("general.quantization_version"), 2u);
    EXPECT_EQ(out.gguf.pairs().size(), in.gguf.pairs().size() + 1);
    EXPECT_EQ(out.gguf.get_strings("tokenizer.ggml.tokens")->size(), 2u);
    ASSERT_EQ(report->tensors.size(), 3u);
    EXPECT_EQ(report->tensors[0].to, "q6_k");
    EXPECT_TRUE(report->tensors[1].is_copied);
    EXPECT_EQ(report->tensors[2].to, "q5_0");
    EXPECT_EQ(report->fallbacks, 1u);
    for (size_t t = 0; t < 3; ++t) {
        const formats::GgufTensor &a = in.gguf.tensors()[t], &b = out.gguf.tensors()[t];
        EXPECT_EQ(a.name, b.name);
        std::vector<float> x(a.rows() * a.cols()), y(x.size());
        for (uint64_t row = 0; row < a.rows(); ++row) {
            ASSERT_TRUE(reference::dequant_row(
                a.format->format, a.bytes.data() + row * a.bytes.size() / a.rows(),
                static_cast<int64_t>(a.cols()), x.data() + row * a.cols()));
            ASSERT_TRUE(reference::dequant_row(
                b.format->format, b.bytes.data() + row * b.bytes.size() / b.rows(),
                static_cast<int64_t>(b.cols()), y.data() + row * b.cols()));
        }
        double error = 0, square = 0, worst = 0;
        for (size_t i = 0; i < x.size(); ++i) {
            const double miss = static_cast<double>(x[i]) - y[i];
            error += miss * miss;
            square += static_cast<double>(x[i]) * x[i];
            worst = std::max(worst, std::fabs(miss));
        }
        EXPECT_NEAR(report->tensors[t].error.nmse(), error / square, 1e-9);
        EXPECT_EQ(report->tensors[t].error.max_error, worst);
    }
}

TEST_F(QuantizerTest, ThreadsChangeNothing) {
    write_model();
    std::string one;
    for (const uint32_t threads : {1u, 2u, 7u}) {
        const std::string name = path("out") + std::to_string(threads);
        ASSERT_TRUE(quantize_file(path("in.gguf"), name, options("iq4_xs", threads)).ok());
        std::ifstream file(name, std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        if (one.empty()) one = bytes;
        EXPECT_EQ(bytes, one);
    }
}

TEST_F(QuantizerTest, AWeightThatIsNoNumberIsNamed) {
    for (const float spoiler :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        write_model(spoiler);
        const Result<Report> report =
            quantize_file(path("in.gguf"), path("out.gguf"), options("q8_0"));
        ASSERT_FALSE(report.ok());
        EXPECT_EQ(report.error().code, Code::kData);
        EXPECT_NE(report.error().message.find("tensor blk.0.ffn_up.weight, row 7, column 5: "),
                  std::string::npos)
            << report.error().message;
        EXPECT_EQ(files(), 1u);
    }
    write_model(1e6f);
    const Result<Report> report = quantize_file(path("in.gguf"), path("out.gguf"), options("f16"));
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().message,
              "tensor blk.0.ffn_up.weight, row 7: column 5 holds 1000000; the largest number of "
              "gguf.f16/0 is 65504");
    EXPECT_TRUE(quantize_file(path("in.gguf"), path("out.gguf"), options("bf16")).ok());
}

TEST_F(QuantizerTest, StopsWhenAskedAndLeavesNothing) {
    write_model();
    QuantizeOptions asked = options("q4_0");
    uint32_t cancel = 0;
    asked.cancel = &cancel;
    asked.progress = [&](uint64_t, uint64_t) { cancel = 1; };
    const Result<Report> report = quantize_file(path("in.gguf"), path("out.gguf"), asked);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code, Code::kCancelled);
    EXPECT_EQ(files(), 1u);
}

TEST_F(QuantizerTest, NeverWritesOverItsSource) {
    const std::string before = write_model();
    std::filesystem::create_symlink("in.gguf", path("link.gguf"));
    for (const char* out : {"in.gguf", "link.gguf"}) {
        QuantizeOptions forced = options("q8_0");
        forced.replace = true;
        const Result<Report> report = quantize_file(path("in.gguf"), path(out), forced);
        ASSERT_FALSE(report.ok());
        EXPECT_NE(report.error().message.find("is the model that is read"), std::string::npos);
    }
    std::ifstream file(path("in.gguf"), std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), before);
}

TEST_F(QuantizerTest, ADryRunSaysTheSize) {
    write_model();
    QuantizeOptions dry = options("q5_k_m");
    dry.dry_run = true;
    const Result<Report> plan = quantize_file(path("in.gguf"), path("out.gguf"), dry);
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(files(), 1u);
    const Result<Report> report =
        quantize_file(path("in.gguf"), path("out.gguf"), options("q5_k_m"));
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(plan->file_bytes, report->file_bytes);
}

}  // namespace
}  // namespace tenon::quantize
