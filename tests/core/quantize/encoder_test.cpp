#include "core/quantize/encoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include <tenon/reference/dequant.h>

#include "core/formats/format_list.h"
#include "tests/core/quantize/random_format.h"

namespace tenon::quantize {
namespace {

std::vector<float> weights_like(uint64_t seed, size_t count, float spread = 0.04f) {
    std::mt19937_64 random(seed);
    std::student_t_distribution<float> draw(5);
    std::vector<float> out(count);
    for (float& value : out)
        value = spread * draw(random);
    return out;
}

struct Encoded {
    std::vector<std::byte> row;
    std::vector<float> decoded;
    double nmse = 0;  // squared error over squares
};

Encoded encode(const tenon_format& format, const std::vector<float>& x) {
    Encoded out;
    const Result<Encoder> encoder = Encoder::create(format);
    EXPECT_TRUE(encoder.ok()) << encoder.error().message;
    if (!encoder.ok()) return out;
    out.row.assign(encoder->row_bytes(x.size()), std::byte{0xa5});
    out.decoded.resize(x.size());
    Encoder::Workspace space;
    const Status status =
        encoder->encode_row(x.data(), x.size(), out.row.data(), out.decoded.data(), space);
    EXPECT_TRUE(status.ok()) << status.error().message;
    std::vector<float> read(x.size());
    EXPECT_TRUE(reference::dequant_row(format, out.row.data(), static_cast<int64_t>(x.size()),
                                       read.data()));
    double error = 0, square = 0;
    for (size_t i = 0; i < x.size(); ++i) {
        EXPECT_EQ(out.decoded[i], read[i]) << i;
        error += (x[i] - read[i]) * (x[i] - read[i]);
        square += x[i] * x[i];
    }
    out.nmse = error / square;
    return out;
}

TEST(Encoder, EveryStoredFormatStaysUnderItsError) {
    // NMSE of Student's t with five degrees of freedom; a tenth above what was measured.
    struct Bound {
        const char* name;
        double nmse;
    };
    constexpr Bound kBounds[] = {
        {"f32", 0},        {"f16", 4.7e-08},  {"bf16", 3e-06},    {"q4_0", 0.012},
        {"q4_1", 0.0089},  {"q5_0", 0.0031},  {"q5_1", 0.0021},   {"q8_0", 4.8e-05},
        {"q2_k", 0.093},   {"q3_k", 0.035},   {"q4_k", 0.0074},   {"q5_k", 0.0018},
        {"q6_k", 0.00048}, {"q8_k", 0.00013}, {"iq4_nl", 0.0089}, {"iq4_xs", 0.0091},
        {"tq1_0", 0.8},    {"tq2_0", 0.8},    {"mxfp4", 0.018},
    };
    const std::vector<float> x = weights_like(7, 256 * 64);
    ASSERT_EQ(std::size(kBounds), formats::stored_formats().size());
    for (const Bound& bound : kBounds) {
        SCOPED_TRACE(bound.name);
        const Encoded out = encode(formats::find_format(bound.name)->format, x);
        EXPECT_LE(out.nmse, bound.nmse);
    }
}

TEST(Encoder, RandomDescriptionsDecodeToWhatTheEncoderSaid) {
    for (uint64_t seed = 0; seed < 600; ++seed) {
        SCOPED_TRACE(seed);
        const auto made = random_format(seed);
        const std::vector<float> x = weights_like(seed, made->format.block_elems * 2);
        const Encoded out = encode(made->format, x);
        EXPECT_TRUE(std::isfinite(out.nmse));
        // A scale of zero is always to be had, or nearly: nothing is worse than writing zeros.
        if (made->format.cls == TENON_FORMAT_AFFINE_GROUP) {
            EXPECT_LE(out.nmse, 1.0);
        }
        if (HasFailure()) break;
    }
}

TEST(Encoder, OddRowsOfEveryFormat) {
    for (const formats::StoredFormat& stored : formats::stored_formats()) {
        SCOPED_TRACE(stored.name);
        encode(stored.format, std::vector<float>(512, 0.0f));
        encode(stored.format, std::vector<float>(512, -0.0f));
        const Encoded ones = encode(stored.format, std::vector<float>(512, 1.0f));
        EXPECT_LT(ones.nmse, 0.01);
        const Encoded below = encode(stored.format, std::vector<float>(512, -3.0f));
        EXPECT_LT(below.nmse, 0.01);
        std::vector<float> spike(512, 0.0f);
        spike[300] = -2.5f;
        EXPECT_LT(encode(stored.format, spike).nmse, 0.05);  // mxfp4: 2.5 is 2 or 3
        std::vector<float> tiny = weights_like(3, 512, 1e-30f);
        encode(stored.format, tiny);
        encode(stored.format, std::vector<float>(512, 1e-42f));  // one over it is infinite
        if (stored.format.cls != TENON_FORMAT_FLOAT) {
            const std::vector<float> huge = weights_like(3, 512, 1e35f);
            encode(stored.format, huge);
        }
    }
}

TEST(Encoder, APlainFloatThatDoesNotFitIsRefusedByItsColumn) {
    const Result<Encoder> encoder = Encoder::create(formats::find_format("f16")->format);
    ASSERT_TRUE(encoder.ok());
    const float x[3] = {1, 2, 70000};
    std::byte row[6];
    float decoded[3];
    Encoder::Workspace space;
    const Status status = encoder->encode_row(x, 3, row, decoded, space);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message,
              "column 2 holds 70000; the largest number of gguf.f16/0 is 65504");
}

TEST(Encoder, ASearchIsBetterThanTheRuleOfTheSameBits) {
    // The same description under another name has no published rule.
    const std::vector<float> x = weights_like(11, 32 * 512);
    for (const char* name : {"q4_1", "q5_1"}) {
        const tenon_format& published = formats::find_format(name)->format;
        tenon_format searched = published;
        searched.id = {"made-up/0", 9};
        EXPECT_LT(encode(searched, x).nmse, 0.97 * encode(published, x).nmse) << name;
    }
}

}  // namespace
}  // namespace tenon::quantize
