// PAGED_ATTN: each variant against the reference, the variants against each other, its properties.
#include "shaders/attention/params.h"

#include <limits>
#include <numeric>
#include <string>

#include <tenon/reference/paged_attn.h>

#include "tests/shaders/device_fixture.h"
#include "tests/shaders/kv_pool.h"
#include "tests/shaders/numbers.h"

namespace tenon::shaders {
namespace {

struct Shape {
    const char* name;
    uint32_t q_heads, kv_heads, dim_k, dim_v;
    uint32_t window = 0;
    float softcap = 0;
    bool sinks = false;
    uint32_t block_tokens = 16;
};

const Shape kShapes[] = {
    {"grouped", 9, 3, 64, 64},
    {"window", 4, 2, 32, 32, 9},
    {"softcap", 2, 1, 32, 48, 0, 5.0f},
    {"sinks", 4, 4, 16, 16, 0, 0, true},
    {"odd", 3, 1, 33, 7, 21, 0, true, 32},
};

struct Variant {
    const char* name;
    uint32_t rows;
    uint32_t local = 8;
};

// Sequences that share a pool; block b of sequence s is table[s * width + b].
struct Batch {
    uint32_t width = 4;
    std::vector<int32_t> table, lengths, starts;
    std::vector<float> q;

    uint32_t tokens = 0;  // of q and o, at least those of the sequences
};

constexpr uint32_t kSequences = 3;

Batch make_batch(const Shape& shape, std::vector<int32_t> lengths,
                 const std::vector<int32_t>& counts) {
    Batch batch;
    batch.lengths = std::move(lengths);
    batch.starts = {0};
    for (const int32_t count : counts)
        batch.starts.push_back(batch.starts.back() + count);
    batch.tokens = static_cast<uint32_t>(batch.starts.back()) + 1;  // one of no sequence
    batch.table.resize(kSequences * batch.width);
    std::iota(batch.table.begin(), batch.table.end(), 0);
    std::shuffle(batch.table.begin(), batch.table.end(), std::mt19937(7));
    batch.q = normals(size_t{batch.tokens} * shape.q_heads * shape.dim_k, 9);
    return batch;
}

class AttentionTest : public DeviceTest {
protected:
    StepError error{};

    static float scale(const Shape& s) { return 1.0f / std::sqrt(static_cast<float>(s.dim_k)); }

    // Empty when the device lacks what the variant needs.
    std::vector<float> attend(const Variant& v, const Shape& s, const KvPool& pool,
                              const Batch& batch) {
        std::vector<float> o(size_t{batch.tokens} * s.q_heads * s.dim_v, 7.0f);
        const auto sequences = static_cast<uint32_t>(batch.lengths.size());
        const bool lanes = std::string(v.name) != "rows";
        if (std::string(v.name) == "lanes_subgroup" && device().subgroup_size < v.local) return {};
        const uint32_t group = s.q_heads / s.kv_heads;
        const std::vector<float> sink = sinks(s);
        Dispatch dispatch("attention", v.name);
        dispatch
            .push(AttentionParams{0, 0, 3, batch.width, s.q_heads, s.kv_heads, s.block_tokens,
                                  pool.n_blocks, s.window, s.sinks ? TENON_ATTENTION_SINKS : 0,
                                  scale(s), s.softcap})
            .other_rows(sequences)
            .spec(TENON_ATTENTION_SPEC_LOCAL, v.local)
            .spec(TENON_ATTENTION_SPEC_KV, kv_type(pool.dtype))
            .spec(TENON_ATTENTION_SPEC_DIM_K, s.dim_k)
            .spec(TENON_ATTENTION_SPEC_DIM_V, s.dim_v)
            .spec(TENON_ATTENTION_SPEC_ROWS, v.rows)
            .in(TENON_ATTENTION_Q, batch.q)
            .in(TENON_ATTENTION_KV, pool.words)
            .in(TENON_ATTENTION_BLOCK_TABLE, batch.table)
            .in(TENON_ATTENTION_KV_LEN, batch.lengths)
            .in(TENON_ATTENTION_Q_START, batch.starts)
            .in(TENON_ATTENTION_SINKS_AT, sink)
            .out(TENON_ATTENTION_O, o);
        const Status ran = dispatch.run(
            {lanes ? s.kv_heads * ceil_div(group, v.rows) : ceil_div(s.q_heads, v.local),
             lanes ? batch.tokens : ceil_div(batch.tokens, v.rows), 1},
            batch.tokens);
        error = dispatch.error();
        if (ran.ok()) return o;
        EXPECT_EQ(ran.error().code, Code::kUnsupported) << ran.error().message;
        return {};
    }

    static std::vector<float> sinks(const Shape& s) { return normals(s.q_heads, 5); }

    static std::vector<float> wanted(const Shape& s, KvPool pool, const Batch& batch) {
        std::vector<float> o(size_t{batch.tokens} * s.q_heads * s.dim_v);
        const tenon_attr_paged_attn attr{
            sizeof attr, s.q_heads, s.kv_heads, s.dim_k, s.dim_v, 0, static_cast<int32_t>(s.window),
            scale(s),    s.softcap};
        reference::paged_attn(
            batch.q.data(), pool.reference(), batch.table.data(), batch.lengths.data(),
            batch.starts.data(), s.sinks ? sinks(s).data() : nullptr, batch.tokens,
            static_cast<int64_t>(batch.lengths.size()), batch.width, attr, o.data());
        return o;
    }

    static KvPool make_pool(const Shape& s, uint32_t dtype) {
        KvPool pool(dtype, s.kv_heads, s.dim_k, s.dim_v, s.block_tokens, kSequences * 4);
        pool.fill(dtype);
        return pool;
    }
};

const Variant kVariants[] = {{"rows", 1}, {"rows", 2}, {"lanes", 2}, {"lanes_subgroup", 3}};

TEST_F(AttentionTest, AgreesWithTheReference) {
    for (const Shape& shape : kShapes) {
        const KvPool pool = make_pool(shape, TENON_F16);
        const Batch batch = make_batch(shape, {40, 1, 23}, {9, 1, 2});
        const std::vector<float> reference = wanted(shape, pool, batch);
        std::vector<float> first;
        for (const Variant& variant : kVariants) {
            SCOPED_TRACE(std::string(shape.name) + ", " + variant.name + " " +
                         std::to_string(variant.rows));
            const std::vector<float> o = attend(variant, shape, pool, batch);
            EXPECT_EQ(error.kind, uint32_t{ERROR_NONE});
            if (o.empty()) continue;
            EXPECT_TRUE(near(reference, o, 1e-5, 3e-6));
            if (first.empty()) first = o;
            EXPECT_TRUE(same_bits(first, o)) << "the variants do not agree";
        }
        if (HasFailure()) return;
    }
}

TEST_F(AttentionTest, ReadsEveryType) {
    for (const uint32_t dtype : kKvDtypes) {
        const Shape& shape = kShapes[dtype == TENON_I8 ? 4 : 1];
        const KvPool pool = make_pool(shape, dtype);
        const Batch batch = make_batch(shape, {20, 3}, {2, 3});
        for (const Variant& variant : {Variant{"rows", 2}, Variant{"lanes", 2}}) {
            const std::vector<float> o = attend(variant, shape, pool, batch);
            if (o.empty()) continue;
            EXPECT_TRUE(near(wanted(shape, pool, batch), o, 1e-5, 3e-6))
                << "type " << dtype << ", " << variant.name;
        }
    }
}

TEST_F(AttentionTest, WiderGroupsAgreeToo) {
    const KvPool pool = make_pool(kShapes[1], TENON_F16);
    const Batch batch = make_batch(kShapes[1], {40, 17, 64}, {2, 1, 1});
    const std::vector<float> o = attend({"lanes", 2, 32}, kShapes[1], pool, batch);
    if (o.empty()) GTEST_SKIP() << "the device does not run it";
    EXPECT_TRUE(near(wanted(kShapes[1], pool, batch), o, 1e-5, 3e-6));
}

// The last token of a chunk is what it is alone, in other blocks.
TEST_F(AttentionTest, ChunksAndBlocksDoNotMatter) {
    const Shape& shape = kShapes[0];
    const KvPool pool = make_pool(shape, TENON_F16);
    const Batch together = make_batch(shape, {21}, {13});
    const Batch alone = [&] {
        Batch batch = make_batch(shape, {21}, {1});
        const size_t row = size_t{shape.q_heads} * shape.dim_k;
        std::copy_n(together.q.begin() + 12 * static_cast<std::ptrdiff_t>(row), row,
                    batch.q.begin());
        return batch;
    }();
    const size_t row = size_t{shape.q_heads} * shape.dim_v;
    for (const Variant& variant : {kVariants[1], kVariants[2]}) {
        const std::vector<float> all = attend(variant, shape, pool, together);
        const std::vector<float> one = attend(variant, shape, pool, alone);
        if (all.empty()) continue;
        const auto begin = all.begin() + 12 * static_cast<std::ptrdiff_t>(row);
        EXPECT_TRUE(same_bits({begin, begin + static_cast<std::ptrdiff_t>(row)},
                              {one.begin(), one.begin() + static_cast<std::ptrdiff_t>(row)}));
    }
}

// NaN behind the positions of a token, in blocks of others: none of it is seen.
TEST_F(AttentionTest, WhatIsNotSeenDoesNotMatter) {
    const Shape& shape = kShapes[1];
    KvPool pool = make_pool(shape, TENON_F32);
    const Batch batch = make_batch(shape, {19, 33}, {3, 2});
    for (const Variant& variant : {kVariants[1], kVariants[2]}) {
        const std::vector<float> sound = attend(variant, shape, pool, batch);
        if (sound.empty()) continue;
        KvPool broken = pool;
        const uint32_t nan = 0x7fc00000u;
        std::fill(broken.words.begin(), broken.words.end(), nan);
        for (int64_t position = 0; position < 18; ++position) {
            const int64_t slot =
                int64_t{batch.table[static_cast<size_t>(position / 16)]} * 16 + position % 16;
            for (uint32_t h = 0; h < shape.kv_heads; ++h) {
                for (const bool value : {false, true}) {
                    size_t scale_at = 0;
                    const size_t row = pool.row_at(slot, h, value, &scale_at);
                    std::copy_n(pool.words.begin() + static_cast<std::ptrdiff_t>(row), 32,
                                broken.words.begin() + static_cast<std::ptrdiff_t>(row));
                }
            }
        }
        // Tokens 0 and 1, positions 16 and 17, see only what was copied; all others see a NaN.
        const std::vector<float> got = attend(variant, shape, broken, batch);
        const auto two = static_cast<std::ptrdiff_t>(2 * shape.q_heads * shape.dim_v);
        const auto five = static_cast<std::ptrdiff_t>(5 * shape.q_heads * shape.dim_v);
        EXPECT_TRUE(
            same_bits({sound.begin(), sound.begin() + two}, {got.begin(), got.begin() + two}));
        EXPECT_TRUE(std::none_of(got.begin() + two, got.begin() + five,
                                 [](float x) { return std::isfinite(x); }));
    }
}

TEST_F(AttentionTest, RefusesWhatIsOutside) {
    const Shape& shape = kShapes[1];
    const KvPool pool = make_pool(shape, TENON_F16);
    const Batch sound = make_batch(shape, {43, 20, 23}, {2, 1, 2});
    for (const Variant& variant : {kVariants[1], kVariants[2]}) {
        SCOPED_TRACE(variant.name);
        Batch batch = sound;
        batch.table[1] = 12;
        attend(variant, shape, pool, batch);
        EXPECT_EQ(error.kind, 0u) << "position 41 with a window of 9 does not look at block 1";
        batch.table[2] = 12;
        attend(variant, shape, pool, batch);
        EXPECT_EQ(error.kind, uint32_t{ERROR_BLOCK_TABLE});
        EXPECT_EQ(error.index, 2u);
        EXPECT_EQ(error.value, 12u);
        batch = sound;
        batch.table[2] = -1;
        attend(variant, shape, pool, batch);
        EXPECT_EQ(error.kind, uint32_t{ERROR_BLOCK_TABLE});
        for (const int32_t length : {65, 1, -3}) {
            batch = sound;
            batch.lengths[2] = length;
            attend(variant, shape, pool, batch);
            EXPECT_EQ(error.kind, uint32_t{ERROR_SEQ_LEN});
            EXPECT_EQ(error.index, 2u);
        }
        for (const std::vector<int32_t>& starts :
             {std::vector<int32_t>{0, 2, 3, 7}, {0, 3, 2, 5}, {1, 2, 3, 5}, {0, 2, -3, 5}}) {
            batch = sound;
            batch.starts = starts;
            attend(variant, shape, pool, batch);
            EXPECT_EQ(error.kind, uint32_t{ERROR_Q_START});
        }
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace tenon::shaders
