// ROPE_KV_WRITE against its reference: rotations at all positions, what the pool then holds.
#include "shaders/rope/params.h"

#include <limits>
#include <string>

#include <tenon/reference/rope_kv_write.h>

#include "tests/shaders/device_fixture.h"
#include "tests/shaders/kv_pool.h"
#include "tests/shaders/numbers.h"

namespace tenon::shaders {
namespace {

struct Shape {
    uint32_t style = TENON_ROPE_HALVES;
    uint32_t q_heads = 5, kv_heads = 2, dim_k = 32, dim_v = 32, rope_dim = 32;
    bool gains = false;
    float mscale = 1;
    uint32_t block_tokens = 16;
};

struct Batch {
    std::vector<float> q, k, v;
    std::vector<int32_t> positions, slots;
};

class RopeTest : public DeviceTest {
protected:
    StepError error{};

    static Batch make_batch(const Shape& s, const std::vector<int32_t>& positions,
                            const std::vector<int32_t>& slots) {
        const size_t tokens = positions.size();
        return {normals(tokens * s.q_heads * s.dim_k, 1), normals(tokens * s.kv_heads * s.dim_k, 2),
                normals(tokens * s.kv_heads * s.dim_v, 3), positions, slots};
    }

    static std::vector<float> frequencies(const Shape& s) {
        std::vector<float> all;
        for (uint32_t i = 0; i < s.rope_dim / 2; ++i)
            all.push_back(
                std::pow(10000.0f, -2.0f * static_cast<float>(i) / static_cast<float>(s.rope_dim)));
        return all;
    }

    // The shader's rotated q and pool.words; the reference's into wanted and pool.floats.
    void rope(const Shape& s, const Batch& batch, KvPool& pool, std::vector<float>& rotated,
              std::vector<float>* wanted) {
        const auto tokens = static_cast<uint32_t>(batch.positions.size());
        const std::vector<float> freq = frequencies(s);
        const std::vector<float> q_gain = normals(s.dim_k, 4), k_gain = normals(s.dim_k, 5);
        rotated.assign(batch.q.size(), 7.0f);
        Dispatch dispatch("rope", "plain");
        dispatch
            .push(RopeParams{0, 0, s.q_heads, s.kv_heads, s.dim_k, s.dim_v, s.rope_dim,
                             s.block_tokens, pool.n_blocks,
                             s.gains ? TENON_ROPE_Q_GAIN | TENON_ROPE_K_GAIN : 0, s.mscale, 1e-6f})
            .spec(TENON_ROPE_SPEC_LOCAL, 8)
            .spec(TENON_ROPE_SPEC_STYLE, s.style)
            .spec(TENON_ROPE_SPEC_KV, kv_type(pool.dtype))
            .in(TENON_ROPE_Q, batch.q)
            .in(TENON_ROPE_K, batch.k)
            .in(TENON_ROPE_V, batch.v)
            .in(TENON_ROPE_POSITIONS, batch.positions)
            .in(TENON_ROPE_KV_SLOT, batch.slots)
            .in(TENON_ROPE_INV_FREQ, freq)
            .out(TENON_ROPE_KV, pool.words)
            .in(TENON_ROPE_Q_GAIN_AT, q_gain)
            .in(TENON_ROPE_K_GAIN_AT, k_gain)
            .out(TENON_ROPE_Q_OUT, rotated);
        SHADER_OK(dispatch.run({ceil_div(s.q_heads + 2 * s.kv_heads, 8), tokens, 1}, tokens));
        error = dispatch.error();
        if (wanted == nullptr) return;
        wanted->resize(batch.q.size());
        const tenon_attr_rope_kv_write attr{sizeof attr, s.q_heads, s.kv_heads, s.dim_k,  s.dim_v,
                                            s.rope_dim,  s.style,   0,          s.mscale, 1e-6f};
        reference::rope_kv_write(batch.q.data(), batch.k.data(), batch.v.data(),
                                 batch.positions.data(), batch.slots.data(), freq.data(),
                                 pool.reference(), s.gains ? q_gain.data() : nullptr,
                                 s.gains ? k_gain.data() : nullptr, tokens, attr, wanted->data());
    }

    // Values, which are not rotated, must be what the reference stores; keys may be a step beside.
    static void expect_pool(const KvPool& made, const std::vector<int32_t>& slots) {
        KvPool pool = made;
        const reference::ReferenceKv kv = pool.reference();
        const double step = pool.dtype == TENON_F32                                 ? 1e-5
                            : pool.dtype == TENON_F16                               ? 0.001
                            : pool.dtype == TENON_BF16                              ? 0.008
                            : pool.dtype == TENON_F8_E4M3 || pool.dtype == TENON_I8 ? 0.13
                                                                                    : 0.26;
        for (const int32_t slot : slots) {
            if (slot < 0) continue;
            for (uint32_t h = 0; h < pool.heads; ++h) {
                for (uint32_t c = 0; c < pool.dim_v; ++c) {
                    const float wanted = kv.value(0, slot, h)[c];
                    const float got = pool.element(slot, h, true, c);
                    if (std::isnan(wanted) && std::isnan(got)) continue;
                    ASSERT_EQ(wanted, got)
                        << "value " << c << " of head " << h << " in slot " << slot;
                }
                for (uint32_t c = 0; c < pool.dim_k; ++c) {
                    const float wanted = kv.key(0, slot, h)[c];
                    const float got = pool.element(slot, h, false, c);
                    if (std::isnan(wanted) && std::isnan(got)) continue;
                    ASSERT_NEAR(wanted, got, std::max(0.03, std::fabs(double{wanted})) * step)
                        << "key " << c << " of head " << h << " in slot " << slot;
                }
            }
        }
    }
};

TEST_F(RopeTest, AgreesWithTheReference) {
    const std::vector<int32_t> positions = {0, 1, 2, 100, 4097, 99999, 131071};
    const std::vector<int32_t> slots = {3, 47, -1, 0, 16, 17, 32};
    const Shape shapes[] = {
        {},
        {TENON_ROPE_INTERLEAVED},
        {TENON_ROPE_NONE},
        {TENON_ROPE_HALVES, 3, 1, 64, 48, 36, false, 1.19f},
        {TENON_ROPE_INTERLEAVED, 4, 4, 33, 7, 20, true, 1.0f, 32},
        {TENON_ROPE_HALVES, 2, 1, 256, 256, 256, true},
    };
    for (const Shape& shape : shapes) {
        for (const uint32_t dtype : kKvDtypes) {
            if (dtype != TENON_F16 && shape.dim_k != 33 && shape.dim_k != 64) continue;
            SCOPED_TRACE("dim_k " + std::to_string(shape.dim_k) + ", style " +
                         std::to_string(shape.style) + ", type " + std::to_string(dtype));
            KvPool pool(dtype, shape.kv_heads, shape.dim_k, shape.dim_v, shape.block_tokens,
                        96 / shape.block_tokens);
            const std::vector<uint32_t> before = pool.words;
            std::vector<float> rotated, wanted;
            rope(shape, make_batch(shape, positions, slots), pool, rotated, &wanted);
            if (HasFatalFailure() || IsSkipped()) return;
            EXPECT_TRUE(near(wanted, rotated, 2e-6, 3e-6));
            EXPECT_EQ(error.kind, uint32_t{ERROR_NONE});
            expect_pool(pool, slots);
            if (HasFatalFailure()) return;
        }
    }
}

// Values of every magnitude, ties, the ends, NaN.
TEST_F(RopeTest, RoundsAsTheReference) {
    const Shape shape{TENON_ROPE_NONE, 1, 1, 4, 64, 0};
    std::vector<int32_t> slots;
    std::vector<float> values;
    for (int32_t slot = 0; slot < 32; ++slot) {
        slots.push_back(slot);
        for (const float x : normals(64, 100 + static_cast<uint32_t>(slot)))
            values.push_back(std::ldexp(x, slot < 24 ? slot - 20 : (slot - 27) * 8));
    }
    for (int i = 0; i < 64; ++i) {
        // Halves of the last place of each small type, and their neighbours.
        values[static_cast<size_t>(i)] = 1.0f + static_cast<float>(i) / 64.0f;
        values[static_cast<size_t>(64 + i)] = std::ldexp(static_cast<float>(i), -12);
        values[static_cast<size_t>(128 + i)] = std::ldexp(static_cast<float>(2 * i + 1), -25);
        values[static_cast<size_t>(192 + i)] = 440.0f + static_cast<float>(i);
        values[static_cast<size_t>(256 + i)] = 1024.0f + static_cast<float>(i) / 2.0f;
        values[static_cast<size_t>(320 + i)] = 65472.0f + static_cast<float>(i);
        values[static_cast<size_t>(384 + i)] = 57000.0f + 100.0f * static_cast<float>(i);
    }
    values[6] = std::numeric_limits<float>::quiet_NaN();
    values[449] = std::numeric_limits<float>::infinity();
    values[513] = -std::numeric_limits<float>::infinity();
    for (const uint32_t dtype : kKvDtypes) {
        SCOPED_TRACE(dtype);
        KvPool pool(dtype, 1, 4, 64, 16, 2);
        Batch batch = make_batch(shape, std::vector<int32_t>(32, 0), slots);
        batch.v = values;
        std::vector<float> rotated, wanted;
        rope(shape, batch, pool, rotated, &wanted);
        if (HasFatalFailure() || IsSkipped()) return;
        expect_pool(pool, slots);
        if (HasFatalFailure()) return;
    }
}

TEST_F(RopeTest, RefusesASlotOutsideThePool) {
    const Shape shape;
    KvPool pool(TENON_F16, shape.kv_heads, shape.dim_k, shape.dim_v, 16, 3);
    std::vector<float> rotated, wanted;
    rope(shape, make_batch(shape, {5, 6, 7}, {4, 48, 9}), pool, rotated, nullptr);
    if (HasFatalFailure() || IsSkipped()) return;
    EXPECT_EQ(error.kind, uint32_t{ERROR_KV_SLOT});
    EXPECT_EQ(error.index, 1u);
    EXPECT_EQ(error.value, 48u);
}

TEST_F(RopeTest, NegativeSlotsWriteNothing) {
    const Shape shape;
    KvPool pool(TENON_F16, shape.kv_heads, shape.dim_k, shape.dim_v, 16, 3);
    std::fill(pool.words.begin(), pool.words.end(), 0x12345678u);
    const std::vector<uint32_t> before = pool.words;
    std::vector<float> rotated, wanted;
    rope(shape, make_batch(shape, {5, 6}, {-1, std::numeric_limits<int32_t>::min()}), pool, rotated,
         &wanted);
    if (HasFatalFailure() || IsSkipped()) return;
    EXPECT_EQ(before, pool.words);
    EXPECT_TRUE(near(wanted, rotated, 2e-6, 3e-6));
    EXPECT_EQ(error.kind, uint32_t{ERROR_NONE});
}

}  // namespace
}  // namespace tenon::shaders
