#include "kernels/include/tenon/kernels/kv.h"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/include/tenon/kernels/attention.h"
#include "tests/kernels/case.h"
#include "tests/kernels/kv_dtype.h"

namespace tenon::kernels {
namespace {

using namespace testing;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr uint32_t kDim = 64;
constexpr KvGeometry kGeometry{1, kDim, kDim, 32};

std::vector<KvEntry> entries() {
    uint32_t count = 0;
    const KvEntry* first = kv_entries(&count);
    return {first, first + count};
}

class KvContract : public ::testing::TestWithParam<KvEntry> {
protected:
    void SetUp() override {
        if (GetParam().isa > best_isa())
            GTEST_SKIP() << "this processor cannot run " << isa_name(GetParam().isa);
        block_.assign(kv_block_bytes(GetParam().type, kGeometry), 0);
    }

    // As key and as value.
    void write(const std::vector<float>& numbers, uint64_t place) {
        GetParam().write({numbers.data(), numbers.data(), block_.data(), place, kGeometry});
    }
    // What is stored of a value: attention over one position, with a key of zeros, gives it back.
    std::vector<float> stored(const std::vector<float>& numbers) {
        const std::vector<float> zeros(kDim, 0.0f);
        GetParam().write({zeros.data(), numbers.data(), block_.data(), 0, kGeometry});
        const std::vector<float> q(kDim, 0.0f);
        const int32_t table = 0;
        std::vector<float> out(kDim);
        AttentionArgs a{};
        a.q = q.data();
        a.out = out.data();
        a.q_stride = a.out_stride = kDim;
        a.layer = block_.data();
        a.block_table = &table;
        a.geometry = kGeometry;
        a.q_heads = 1;
        a.token_end = a.head_end = 1;
        a.scale = 1;
        find_attention(GetParam().type, GetParam().isa)->attend(a);
        return out;
    }
    std::vector<float> rounded(const std::vector<float>& numbers) {
        std::vector<float> to(numbers.size());
        reference::round_to_kv(kv_dtype(GetParam().type), numbers.data(), kDim, to.data());
        return to;
    }

    std::vector<uint8_t> block_;
};

// Every exponent, either sign, in between and on ties.
std::vector<float> wide_numbers(std::mt19937& engine) {
    std::vector<float> numbers(kDim);
    for (float& x : numbers) {
        const uint32_t kept = 23 - engine() % 24;  // few mantissa bits make ties
        uint32_t bits = static_cast<uint32_t>(engine());
        bits &= ~((1u << kept) - 1u) | 0xff800000u;
        if ((bits & 0x7f800000u) == 0x7f800000u) bits &= 0xbfffffffu;
        std::memcpy(&x, &bits, 4);
        if (engine() % 2 == 0)
            x = std::ldexp(1.0f + x - std::floor(x), static_cast<int>(engine() % 40) - 24);
        if (!std::isfinite(x)) x = 1.0f;
    }
    return numbers;
}

TEST_P(KvContract, StoresWhatTheReferenceStores) {
    std::mt19937 engine(5);
    for (int round = 0; round < 400; ++round) {
        const std::vector<float> numbers = wide_numbers(engine);
        const std::vector<float> wanted = rounded(numbers);
        const std::vector<float> got = stored(numbers);
        for (uint32_t i = 0; i < kDim; ++i)
            ASSERT_EQ(got[i], wanted[i]) << numbers[i];
    }
}

TEST_P(KvContract, KeepsNaNAndTheEndsOfItsRange) {
    const KvType type = GetParam().type;
    const bool small = type == KvType::kF8E4m3 || type == KvType::kF8E5m2;
    std::vector<float> numbers(kDim, 0.0f);
    for (const float nan : {std::nanf(""), -std::nanf("")}) {
        numbers[3] = nan;
        EXPECT_TRUE(std::isnan(stored(numbers)[3]));
        EXPECT_EQ(std::isnan(stored(numbers)[4]), type == KvType::kI8);
    }
    numbers[3] = -kInf;
    const float got = stored(numbers)[3];
    if (small) {
        EXPECT_EQ(got, type == KvType::kF8E4m3 ? -448.0f : -57344.0f);
    } else {
        EXPECT_EQ(std::isnan(got), type == KvType::kI8);
    }
}

TEST_P(KvContract, KeysAreStoredAsValuesAre) {
    std::mt19937 engine(6);
    const KvType type = GetParam().type;
    const size_t size = kv_element_bytes(type);
    for (const uint64_t place : {0u, 5u, 16u, 31u}) {
        write(wide_numbers(engine), place);
        for (uint32_t d = 0; d < kDim; ++d) {
            const uint8_t* key =
                &block_[(place / 16 * 16 * kDim + size_t{d} * 16 + place % 16) * size];
            const uint8_t* value = &block_[(k_head_size(kGeometry) + place * kDim + d) * size];
            ASSERT_EQ(std::memcmp(key, value, size), 0) << "place " << place << ", element " << d;
        }
    }
}

TEST_P(KvContract, EveryLevelStoresTheSameBytes) {
    std::mt19937 engine(9);
    const KvWriteFn scalar = find_kv(GetParam().type, Isa::kScalar)->write;
    std::vector<uint8_t> other(block_.size(), 0);
    for (uint32_t place = 0; place < 32; ++place) {
        const std::vector<float> numbers = wide_numbers(engine);
        write(numbers, place);
        scalar({numbers.data(), numbers.data(), other.data(), place, kGeometry});
    }
    EXPECT_EQ(block_, other);
}

std::string entry_name(const ::testing::TestParamInfo<KvEntry>& info) {
    return std::string(kv_type_name(info.param.type)) + "_" + isa_name(info.param.isa);
}
INSTANTIATE_TEST_SUITE_P(Entries, KvContract, ::testing::ValuesIn(entries()), entry_name);

}  // namespace
}  // namespace tenon::kernels
