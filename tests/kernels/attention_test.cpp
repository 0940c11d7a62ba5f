#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/include/tenon/kernels/attention.h"
#include "tests/kernels/case.h"
#include "tests/kernels/kv_dtype.h"

namespace tenon::kernels {
namespace {

using namespace testing;

std::vector<AttentionEntry> entries() {
    uint32_t count = 0;
    const AttentionEntry* first = attention_entries(&count);
    return {first, first + count};
}

struct Shape {
    uint32_t q_heads, kv_heads, dim_k, dim_v, block_tokens, context, window;
    float softcap;
    bool sinks;
};

constexpr Shape kShapes[] = {
    {9, 3, 64, 64, 16, 150, 0, 0.0f, false},  {4, 4, 8, 8, 16, 20, 0, 0.0f, false},
    {8, 1, 128, 128, 32, 70, 0, 0.0f, false}, {6, 2, 80, 48, 32, 200, 37, 0.0f, false},
    {2, 1, 20, 36, 16, 130, 5, 3.0f, false},  {4, 2, 64, 64, 32, 90, 64, 0.0f, true},
};

// A sequence whose cache was written through `isa` and `type` with the given block ids.
struct Sequence {
    Shape shape;
    KvGeometry geometry;
    std::vector<float> q, k, v, sinks;  // k and v as the reference says that they are stored
    std::vector<int32_t> table;
    std::vector<uint8_t> pool;

    Sequence(const Shape& s, KvType type, Isa isa, uint32_t shuffle)
        : shape(s),
          geometry{s.kv_heads, s.dim_k, s.dim_v, s.block_tokens},
          q(random_floats(size_t{s.context} * s.q_heads * s.dim_k, 1)),
          k(random_floats(size_t{s.context} * s.kv_heads * s.dim_k, 2)),
          v(random_floats(size_t{s.context} * s.kv_heads * s.dim_v, 3)),
          sinks(random_floats(s.q_heads, 4)) {
        const uint32_t blocks = (s.context + s.block_tokens - 1) / s.block_tokens;
        for (uint32_t b = 0; b < blocks; ++b)
            table.push_back(static_cast<int32_t>(b + 1));
        std::mt19937 engine(shuffle);
        if (shuffle != 0) std::shuffle(table.begin(), table.end(), engine);
        // Unwritten memory holds NaN patterns: reading it would show.
        pool.assign((blocks + 2) * kv_block_bytes(type, geometry), 0xff);
        for (uint32_t p = 0; p < s.context; ++p) {
            const uint64_t block = static_cast<uint64_t>(table[p / s.block_tokens]);
            find_kv(type, isa)->write({k.data() + size_t{p} * s.kv_heads * s.dim_k,
                                       v.data() + size_t{p} * s.kv_heads * s.dim_v, pool.data(),
                                       block * s.block_tokens + p % s.block_tokens, geometry});
        }
        for (size_t at = 0; at < k.size(); at += s.dim_k)
            reference::round_to_kv(kv_dtype(type), &k[at], s.dim_k, &k[at]);
        for (size_t at = 0; at < v.size(); at += s.dim_v)
            reference::round_to_kv(kv_dtype(type), &v[at], s.dim_v, &v[at]);
    }

    AttentionArgs args(uint32_t first, uint32_t count, float* out) const {
        AttentionArgs a{};
        a.q = q.data() + size_t{first} * shape.q_heads * shape.dim_k;
        a.out = out;
        a.q_stride = size_t{shape.q_heads} * shape.dim_k;
        a.out_stride = size_t{shape.q_heads} * shape.dim_v;
        a.layer = pool.data();
        a.block_table = table.data();
        a.sinks = shape.sinks ? sinks.data() : nullptr;
        a.geometry = geometry;
        a.q_heads = shape.q_heads;
        a.first_position = first;
        a.token_end = count;
        a.window = shape.window;
        a.scale = 1.0f / std::sqrt(static_cast<float>(shape.dim_k));
        a.softcap = shape.softcap;
        return a;
    }

    // Tokens [first, first + count) through `attend`, one call per KV head.
    std::vector<float> run(AttentionFn attend, uint32_t first, uint32_t count) const {
        std::vector<float> out(size_t{count} * shape.q_heads * shape.dim_v, -9.0f);
        const uint32_t heads = shape.q_heads / shape.kv_heads;
        for (uint32_t h = 0; h < shape.q_heads; h += heads) {
            AttentionArgs a = args(first, count, out.data());
            a.head_begin = h;
            a.head_end = h + heads;
            attend(a);
        }
        return out;
    }

    double exact(uint32_t position, uint32_t head, uint32_t dim) const {
        const uint32_t kv_head = head / (shape.q_heads / shape.kv_heads);
        const float* query = q.data() + (size_t{position} * shape.q_heads + head) * shape.dim_k;
        const uint32_t begin =
            shape.window > 0 && position + 1 > shape.window ? position + 1 - shape.window : 0;
        std::vector<double> score;
        for (uint32_t p = begin; p <= position; ++p) {
            const float* key = k.data() + (size_t{p} * shape.kv_heads + kv_head) * shape.dim_k;
            double s = 0;
            for (uint32_t d = 0; d < shape.dim_k; ++d)
                s += static_cast<double>(query[d]) * key[d];
            s /= std::sqrt(static_cast<double>(shape.dim_k));
            if (shape.softcap > 0) s = shape.softcap * std::tanh(s / shape.softcap);
            score.push_back(s);
        }
        double largest = *std::max_element(score.begin(), score.end());
        if (shape.sinks) largest = std::max<double>(largest, sinks[head]);
        double total = shape.sinks ? std::exp(sinks[head] - largest) : 0.0;
        double sum = 0;
        for (uint32_t p = begin; p <= position; ++p) {
            const double weight = std::exp(score[p - begin] - largest);
            total += weight;
            sum += weight * v[(size_t{p} * shape.kv_heads + kv_head) * shape.dim_v + dim];
        }
        return sum / total;
    }
};

class AttentionContract : public ::testing::TestWithParam<AttentionEntry> {
protected:
    void SetUp() override {
        if (GetParam().isa > best_isa())
            GTEST_SKIP() << "this processor cannot run " << isa_name(GetParam().isa);
    }
};

TEST_P(AttentionContract, AgreesWithDouble) {
    const AttentionEntry& impl = GetParam();
    for (const Shape& shape : kShapes) {
        const Sequence s(shape, impl.type, impl.isa, 0);
        const std::vector<float> out = s.run(impl.attend, 0, shape.context);
        for (uint32_t p = 0; p < shape.context; p += 1 + p / 8)
            for (uint32_t h = 0; h < shape.q_heads; ++h)
                for (uint32_t d = 0; d < shape.dim_v; d += 7)
                    ASSERT_NEAR(out[(size_t{p} * shape.q_heads + h) * shape.dim_v + d],
                                s.exact(p, h, d), 3e-6)
                        << "dims " << shape.dim_k << " position " << p << " head " << h;
    }
}

TEST_P(AttentionContract, ChunksAndBlockIdsDoNotChangeABit) {
    const AttentionEntry& impl = GetParam();
    for (const Shape& shape : kShapes) {
        const Sequence plain(shape, impl.type, impl.isa, 0);
        const Sequence shuffled(shape, impl.type, impl.isa, 17);
        const std::vector<float> whole = plain.run(impl.attend, 0, shape.context);
        const size_t row = size_t{shape.q_heads} * shape.dim_v;
        for (uint32_t first = 0, count = 1; first < shape.context; first += count, count += 3) {
            count = std::min(count, shape.context - first);
            const std::vector<float> part = shuffled.run(impl.attend, first, count);
            ASSERT_EQ(std::memcmp(part.data(), whole.data() + first * row, part.size() * 4), 0)
                << "dims " << shape.dim_k << ", tokens " << first << " + " << count;
        }
    }
}

TEST_P(AttentionContract, HeadsMayBeSplit) {
    const AttentionEntry& impl = GetParam();
    const Shape& shape = kShapes[0];
    const Sequence s(shape, impl.type, impl.isa, 3);
    const std::vector<float> whole = s.run(impl.attend, 100, 2);
    std::vector<float> out(whole.size());
    for (uint32_t h = 0; h < shape.q_heads; ++h) {
        AttentionArgs a = s.args(100, 2, out.data());
        a.head_begin = h;
        a.head_end = h + 1;
        impl.attend(a);
    }
    EXPECT_EQ(std::memcmp(out.data(), whole.data(), whole.size() * 4), 0);
}

std::string entry_name(const ::testing::TestParamInfo<AttentionEntry>& info) {
    return std::string(kv_type_name(info.param.type)) + "_" + isa_name(info.param.isa);
}
INSTANTIATE_TEST_SUITE_P(Entries, AttentionContract, ::testing::ValuesIn(entries()), entry_name);

}  // namespace
}  // namespace tenon::kernels
