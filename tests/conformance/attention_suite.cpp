// Rotation, KV writes and paged attention: against the references, and their properties.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/conformance/batch.h"

namespace {

using namespace tenon;
using namespace tenon::conformance;
using ops::Dim;
using ops::kNoValue;
using ops::ProgramBuilder;
using ops::ValueId;

enum Slot : uint32_t { kQ = kBatchSlots, kK, kV, kRotated, kO };

struct Shape {
    const char* name;
    uint32_t q_heads, kv_heads, dim_k, dim_v, rope_dim;
    tenon_rope_style style;
    int32_t window = 0;
    float softcap = 0;
    bool sinks = false;
    bool gains = false;
    uint32_t block_tokens = 16;
    uint32_t table_width = 4;
    float mscale = 1;
};

constexpr size_t kSequences = 3;

// q, k, v -> rotate and write -> attend, in layer 1 of 2.
Trial make_trial(const Shape& shape, tenon_dtype kv_dtype, Random& random, uint32_t layer = 1) {
    Trial trial;
    std::vector<float> frequencies(shape.rope_dim / 2);
    for (size_t i = 0; i < frequencies.size(); ++i) {
        frequencies[i] =
            std::pow(10000.0f, -2.0f * static_cast<float>(i) / static_cast<float>(shape.rope_dim));
    }
    const uint32_t inv_freq = trial.add_floats("inv_freq", frequencies);
    const uint32_t sinks = trial.add_floats("sinks", random.normals(shape.q_heads));
    const uint32_t q_gain = trial.add_floats("q_gain", random.normals(shape.dim_k));
    const uint32_t k_gain = trial.add_floats("k_gain", random.normals(shape.dim_k));
    trial.kv = tenon_kv_desc{sizeof(tenon_kv_desc),
                             2,
                             shape.kv_heads,
                             shape.dim_k,
                             shape.dim_v,
                             shape.block_tokens,
                             static_cast<uint32_t>(kv_dtype),
                             static_cast<uint32_t>(kSequences) * shape.table_width};
    ProgramBuilder b;
    const BatchValues batch = add_batch(b, 256, kSequences, shape.table_width);
    const int64_t dk = shape.dim_k;
    const int64_t dv = shape.dim_v;
    const ValueId q = b.input("q", kQ, TENON_F32, {batch.tokens, shape.q_heads * dk});
    const ValueId k = b.input("k", kK, TENON_F32, {batch.tokens, shape.kv_heads * dk});
    const ValueId v = b.input("v", kV, TENON_F32, {batch.tokens, shape.kv_heads * dv});
    ProgramBuilder::RopeKvWrite in{q,
                                   k,
                                   v,
                                   batch.positions,
                                   batch.kv_slot,
                                   b.weight("inv_freq", inv_freq, {int64_t{shape.rope_dim / 2}}),
                                   batch.kv};
    if (shape.gains) {
        in.q_gain = b.weight("q_gain", q_gain, {dk});
        in.k_gain = b.weight("k_gain", k_gain, {dk});
    }
    const ValueId rotated = b.rope_kv_write(
        "rope", in,
        {sizeof(tenon_attr_rope_kv_write), shape.q_heads, shape.kv_heads, shape.dim_k, shape.dim_v,
         shape.rope_dim, static_cast<uint32_t>(shape.style), layer, shape.mscale, 1e-6f});
    b.mark_output(rotated, kRotated);
    const ValueId o = b.paged_attn(
        "attn", rotated, batch.kv, batch.block_table, batch.kv_len, batch.q_start,
        {sizeof(tenon_attr_paged_attn), shape.q_heads, shape.kv_heads, shape.dim_k, shape.dim_v,
         layer, shape.window, 1.0f / std::sqrt(static_cast<float>(dk)), shape.softcap},
        shape.sinks ? b.weight("sinks", sinks, {int64_t{shape.q_heads}}) : kNoValue);
    b.mark_output(o, kO);
    trial.program = b.build();
    return trial;
}

// Normal q, k and v for the tokens of one sequence, so that chunks of it can be cut.
struct Stream {
    std::vector<float> q, k, v;
    int64_t q_row, k_row, v_row;

    Stream(const Shape& shape, int64_t tokens, Random& random)
        : q_row(int64_t{shape.q_heads} * shape.dim_k),
          k_row(int64_t{shape.kv_heads} * shape.dim_k),
          v_row(int64_t{shape.kv_heads} * shape.dim_v) {
        q = random.normals(tokens * q_row);
        k = random.normals(tokens * k_row);
        v = random.normals(tokens * v_row);
    }
};

// One step with `counts[s]` more tokens of each stream.
Step make_step(Sequences& sequences, const std::vector<Stream>& streams,
               const std::vector<int32_t>& counts) {
    Step step;
    std::vector<float> q, k, v;
    for (size_t s = 0; s < counts.size(); ++s) {
        const int64_t begin = sequences.lengths[s];
        const int64_t end = begin + counts[s];
        const Stream& from = streams[s];
        q.insert(q.end(), from.q.begin() + begin * from.q_row, from.q.begin() + end * from.q_row);
        k.insert(k.end(), from.k.begin() + begin * from.k_row, from.k.begin() + end * from.k_row);
        v.insert(v.end(), from.v.begin() + begin * from.v_row, from.v.begin() + end * from.v_row);
    }
    fill_batch(sequences, counts, step);
    step.set(kQ, q);
    step.set(kK, k);
    step.set(kV, v);
    return step;
}

std::vector<Stream> make_streams(const Shape& shape, Random& random) {
    std::vector<Stream> streams;
    for (size_t s = 0; s < kSequences; ++s)
        streams.emplace_back(shape, 16 * shape.table_width, random);
    return streams;
}

const Shape kShapes[] = {
    {"grouped", 6, 2, 32, 32, 32, TENON_ROPE_INTERLEAVED},
    {"halves", 4, 4, 16, 16, 16, TENON_ROPE_HALVES},
    {"partial_rotation", 3, 1, 64, 64, 32, TENON_ROPE_HALVES},
    {"no_rotation", 2, 1, 32, 32, 32, TENON_ROPE_NONE},
    {"window", 4, 2, 32, 32, 32, TENON_ROPE_INTERLEAVED, 9},
    {"softcap", 4, 2, 32, 32, 32, TENON_ROPE_HALVES, 0, 5.0f},
    {"sinks", 4, 2, 32, 32, 32, TENON_ROPE_HALVES, 0, 0, true},
    {"gains", 4, 2, 32, 32, 32, TENON_ROPE_HALVES, 0, 0, false, true},
    {"narrow_values", 4, 2, 48, 32, 48, TENON_ROPE_HALVES},
    {"blocks_of_32", 4, 2, 32, 32, 32, TENON_ROPE_INTERLEAVED, 0, 0, false, false, 32},
    {"stretched", 4, 2, 48, 48, 36, TENON_ROPE_HALVES, 21, 0, false, false, 16, 4, 1.19f},
    {"wide_heads", 2, 1, 256, 256, 256, TENON_ROPE_HALVES, 17, 0, false, true},
    {"long_context", 4, 2, 64, 64, 64, TENON_ROPE_INTERLEAVED, 0, 0, false, false, 16, 40},
};

struct Case {
    Shape shape;
    tenon_dtype kv_dtype;
    tenon_compute compute;
};

class Attention : public ::testing::TestWithParam<Case> {
protected:
    Random random{Target::instance().seed(), 300};

    // Both sides store the same numbers; but a rotated key whose last bit differs may be rounded to
    // the neighbour, which moves a score by up to that step over the root of dim_k.
    Tolerance tolerance() const {
        const bool fast = GetParam().compute == TENON_COMPUTE_FAST;
        const double step = GetParam().kv_dtype == TENON_F8_E5M2   ? 0.25
                            : GetParam().kv_dtype == TENON_F8_E4M3 ? 0.125
                                                                   : 0;
        return fast ? Tolerance{2e-5, 0.05 + step / 4} : Tolerance{4e-6, 0.02 + step / 4};
    }
};

// Prefill, chunks, decode and a mix of them, over shuffled blocks.
TEST_P(Attention, MixedSteps) {
    const Trial trial = make_trial(GetParam().shape, GetParam().kv_dtype, random);
    auto runner = Runner::create(trial, GetParam().compute);
    CONFORMANCE_MADE(runner);
    Oracle oracle(trial);
    const std::vector<Stream> streams = make_streams(GetParam().shape, random);
    Sequences sequences = Sequences::make(kSequences, GetParam().shape.block_tokens,
                                          GetParam().shape.table_width, &random);
    std::vector<std::vector<int32_t>> steps = {{17, 0, 0}, {1, 5, 0}, {1, 1, 33}, {1, 1, 1},
                                               {15, 1, 0}, {0, 0, 2}, {1, 1, 1}};
    if (GetParam().shape.table_width > 4) {
        steps.insert(steps.end(), {{200, 0, 0}, {150, 30, 0}, {1, 1, 1}, {130, 0, 100}, {1, 1, 1}});
    }
    for (const std::vector<int32_t>& counts : steps) {
        Step step = make_step(sequences, streams, counts);
        step.prepare_outputs(trial.view());
        Step wanted = step;
        CONFORMANCE_OK(oracle.run(wanted));
        CONFORMANCE_OK(runner->run(step));
        SCOPED_TRACE(::testing::Message()
                     << counts[0] << ", " << counts[1] << " and " << counts[2] << " tokens");
        EXPECT_TRUE(
            close_to(wanted.get<float>(kRotated), step.get<float>(kRotated), kFloatTolerance));
        EXPECT_TRUE(close_to(wanted.get<float>(kO), step.get<float>(kO), tolerance()));
    }
}

// The result of each sequence, stepped alone or in chunks, in one pool layout or another.
std::vector<float> stepped(Runner& runner, const Trial& trial, const std::vector<Stream>& streams,
                           Sequences sequences, const std::vector<std::vector<int32_t>>& steps) {
    std::vector<std::vector<float>> of_sequence(kSequences);
    for (const std::vector<int32_t>& counts : steps) {
        Step step = make_step(sequences, streams, counts);
        const Status ran = runner.run(step);
        if (!ran.ok()) {
            ADD_FAILURE() << ran.error().message;
            return {};
        }
        const std::vector<float> o = step.get<float>(kO);
        const auto row = static_cast<int64_t>(o.size()) / step.symbols[0];
        int64_t at = 0;
        for (size_t s = 0; s < kSequences; ++s) {
            const int64_t end = at + counts[s] * row;
            of_sequence[s].insert(of_sequence[s].end(), o.begin() + at, o.begin() + end);
            at = end;
        }
    }
    (void)trial;
    std::vector<float> all;
    for (const auto& one : of_sequence)
        all.insert(all.end(), one.begin(), one.end());
    return all;
}

TEST_P(Attention, BlockOrderAndChunkingDoNotMatter) {
    const Trial trial = make_trial(GetParam().shape, GetParam().kv_dtype, random);
    auto runner = Runner::create(trial, GetParam().compute, TENON_PREPARE_DETERMINISTIC);
    CONFORMANCE_MADE(runner);
    const std::vector<Stream> streams = make_streams(GetParam().shape, random);
    const uint32_t block_tokens = GetParam().shape.block_tokens;
    const uint32_t width = GetParam().shape.table_width;
    std::vector<std::vector<int32_t>> whole = {{37, 20, 3}};
    std::vector<std::vector<int32_t>> chunks = {{16, 1, 0}, {1, 18, 1}, {20, 0, 1}, {0, 1, 1}};
    if (width > 4) {
        whole = {{230, 20, 3}, {1, 0, 0}};
        chunks = {{64, 1, 0}, {100, 18, 1}, {1, 0, 1}, {65, 1, 1}, {1, 0, 0}};
    }
    const Sequences plain = Sequences::make(kSequences, block_tokens, width, nullptr);
    const Sequences shuffled = Sequences::make(kSequences, block_tokens, width, &random);
    const std::vector<float> wanted = stepped(*runner, trial, streams, plain, whole);
    const std::vector<float> moved = stepped(*runner, trial, streams, shuffled, whole);
    const std::vector<float> chunked = stepped(*runner, trial, streams, shuffled, chunks);
    if (runner->deterministic()) {
        EXPECT_TRUE(equal_bits(wanted, moved)) << "after moving the blocks";
        EXPECT_TRUE(equal_bits(wanted, chunked)) << "in chunks";
    } else {
        EXPECT_TRUE(close_to(wanted, moved, tolerance())) << "after moving the blocks";
        EXPECT_TRUE(close_to(wanted, chunked, tolerance())) << "in chunks";
    }
}

// NaN in one sequence reaches no other, nor the next owner of its blocks.
TEST_P(Attention, ABrokenSequenceStaysAlone) {
    const Trial trial = make_trial(GetParam().shape, GetParam().kv_dtype, random);
    auto runner = Runner::create(trial, GetParam().compute);
    CONFORMANCE_MADE(runner);
    std::vector<Stream> streams = make_streams(GetParam().shape, random);
    const Sequences start = Sequences::make(kSequences, GetParam().shape.block_tokens,
                                            GetParam().shape.table_width, &random);
    const auto run = [&](Sequences& sequences, const std::vector<int32_t>& counts) {
        Step step = make_step(sequences, streams, counts);
        const Status ran = runner->run(step);
        EXPECT_TRUE(ran.ok()) << (ran.ok() ? "" : ran.error().message);
        return step.get<float>(kO);
    };
    const auto alone = [&](const std::vector<int32_t>& counts) {
        Sequences sequences = start;
        return run(sequences, counts);
    };
    const std::vector<float> first = alone({5, 0, 0});
    const std::vector<float> second = alone({0, 21, 0});
    const std::vector<float> third = alone({0, 0, 2});
    const std::vector<Stream> sound = streams;
    for (std::vector<float>* numbers : {&streams[1].q, &streams[1].k, &streams[1].v})
        std::fill(numbers->begin(), numbers->end(), std::numeric_limits<float>::quiet_NaN());
    const std::vector<float> together = alone({5, 21, 2});
    std::vector<float> wanted = first;
    wanted.insert(wanted.end(), third.begin(), third.end());
    std::vector<float> got(together.begin(),
                           together.begin() + static_cast<std::ptrdiff_t>(first.size()));
    got.insert(got.end(), together.end() - static_cast<std::ptrdiff_t>(third.size()),
               together.end());
    EXPECT_TRUE(equal_bits(wanted, got)) << "beside a broken sequence";
    if (Target::instance().computes()) {
        const auto begin = together.begin() + static_cast<std::ptrdiff_t>(first.size());
        EXPECT_TRUE(std::none_of(begin, begin + static_cast<std::ptrdiff_t>(second.size()),
                                 [](float x) { return std::isfinite(x); }))
            << "the NaN was lost";
    }
    streams = sound;
    EXPECT_TRUE(equal_bits(second, alone({0, 21, 0}))) << "in the blocks of a broken sequence";
}

// A context of eighty thousand positions: blocks that come again and again, and at the end one whose
// values outweigh theirs, so that an answer over a part of it is wrong.
TEST(LongContext, EveryPositionIsSeen) {
    Random random(Target::instance().seed(), 304);
    Shape shape{"", 2, 1, 16, 16, 16, TENON_ROPE_NONE};
    const uint32_t written = 5;
    shape.table_width = 5000;
    Trial trial = make_trial(shape, TENON_F32, random);
    trial.kv->n_blocks = written;
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    Oracle oracle(trial);
    const auto both = [&](Step step) {
        step.prepare_outputs(trial.view());
        Step wanted = step;
        CONFORMANCE_OK(oracle.run(wanted));
        CONFORMANCE_OK(runner->run(step));
        EXPECT_TRUE(close_to(wanted.get<float>(kO), step.get<float>(kO), {4e-6, 0.02}));
    };
    Sequences sequences = Sequences::make(1, shape.block_tokens, shape.table_width, nullptr);
    for (size_t i = 0; i < sequences.blocks[0].size(); ++i)
        sequences.blocks[0][i] = static_cast<int32_t>(i % (written - 1));
    sequences.blocks[0][written - 1] = sequences.blocks[0].back() = written - 1;
    Stream stream(shape, written * shape.block_tokens, random);
    for (auto v = stream.v.end() - shape.block_tokens * stream.v_row; v != stream.v.end(); ++v)
        *v *= 1000;
    both(make_step(sequences, {stream}, {static_cast<int32_t>(written * shape.block_tokens)}));

    sequences.lengths[0] = static_cast<int32_t>(shape.table_width * shape.block_tokens) - 2;
    Step last;
    fill_batch(sequences, {2}, last);
    last.set(kQ, random.normals(2 * stream.q_row));
    last.set(kK, random.normals(2 * stream.k_row));
    last.set(kV, random.normals(2 * stream.v_row));
    both(last);
}

std::vector<Case> cases() {
    std::vector<Case> all;
    for (const Shape& shape : kShapes) {
        for (const tenon_compute compute : {TENON_COMPUTE_FAST, TENON_COMPUTE_PRECISE}) {
            all.push_back({shape, TENON_F16, compute});
        }
    }
    for (const tenon_dtype dtype :
         {TENON_F32, TENON_BF16, TENON_F8_E4M3, TENON_F8_E5M2, TENON_I8}) {
        for (const Shape& shape : kShapes)
            all.push_back({shape, dtype, TENON_COMPUTE_FAST});
        all.push_back({kShapes[0], dtype, TENON_COMPUTE_PRECISE});
    }
    return all;
}

const char* dtype_name(tenon_dtype dtype) {
    switch (dtype) {
        case TENON_F32: return "f32";
        case TENON_F16: return "f16";
        case TENON_BF16: return "bf16";
        case TENON_F8_E4M3: return "f8_e4m3";
        case TENON_F8_E5M2: return "f8_e5m2";
        default: return "i8";
    }
}

INSTANTIATE_TEST_SUITE_P(Ops, Attention, ::testing::ValuesIn(cases()), [](const auto& one) {
    return std::string(one.param.shape.name) + "_" + dtype_name(one.param.kv_dtype) + "_" +
           compute_name(one.param.compute);
});

class KvPool : public ::testing::TestWithParam<tenon_dtype> {};

INSTANTIATE_TEST_SUITE_P(Kv, KvPool,
                         ::testing::Values(TENON_F16, TENON_F32, TENON_BF16, TENON_F8_E4M3,
                                           TENON_F8_E5M2, TENON_I8),
                         [](const auto& one) { return dtype_name(one.param); });

// Attention over a single position gives its value back: as the dtype rounds it, at every magnitude.
TEST_P(KvPool, StoresTheRoundedNumbers) {
    Random random(Target::instance().seed(), 303);
    const Shape shape = kShapes[0];
    const Trial trial = make_trial(shape, GetParam(), random);
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    Oracle oracle(trial);
    for (int round = 0; round < 8; ++round) {
        std::vector<Stream> streams = make_streams(shape, random);
        for (Stream& stream : streams) {
            for (float& x : stream.v)
                x *= std::ldexp(1.0f, static_cast<int>(random.below(20)) - 12);
        }
        Sequences sequences = Sequences::make(kSequences, 16, shape.table_width, &random);
        Step step = make_step(sequences, streams, {1, 1, 1});
        step.prepare_outputs(trial.view());
        Step wanted = step;
        CONFORMANCE_OK(oracle.run(wanted));
        CONFORMANCE_OK(runner->run(step));
        EXPECT_TRUE(close_to(wanted.get<float>(kO), step.get<float>(kO), kFloatTolerance));
    }
}

// A negative slot computes the token and leaves the pool alone.
TEST_P(KvPool, NegativeSlotWritesNothing) {
    Random random(Target::instance().seed(), 301);
    const Shape shape = kShapes[1];
    const Trial trial = make_trial(shape, GetParam(), random);
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    const std::vector<Stream> streams = make_streams(shape, random);
    Sequences sequences = Sequences::make(kSequences, 16, shape.table_width, nullptr);
    Step first = make_step(sequences, streams, {20, 0, 0});
    CONFORMANCE_OK(runner->run(first));
    const Sequences before = sequences;
    Step next = make_step(sequences, streams, {1, 0, 0});
    CONFORMANCE_OK(runner->run(next));

    // Other keys and values for the same positions, not written: the pool still holds the old ones.
    Sequences back = before;
    back.lengths[0] = 18;
    Step silent = make_step(back, streams, {2, 0, 0});
    silent.set(kKvSlot, std::vector<int32_t>{-1, -1});
    silent.set(kK, random.normals(2 * streams[0].k_row));
    silent.set(kV, random.normals(2 * streams[0].v_row));
    CONFORMANCE_OK(runner->run(silent));
    Sequences again = before;
    Step repeat = make_step(again, streams, {1, 0, 0});
    CONFORMANCE_OK(runner->run(repeat));
    EXPECT_TRUE(equal_bits(next.get<float>(kO), repeat.get<float>(kO)));
    const std::vector<float> all = first.get<float>(kO);
    const auto row = static_cast<std::ptrdiff_t>(all.size() / 20);
    EXPECT_TRUE(close_to(std::vector<float>(all.end() - 2 * row, all.end()), silent.get<float>(kO),
                         {4e-6, 0.02}));
}

TEST_P(KvPool, QueryAndCreateAgreeAndRefuse) {
    const host::Device& device = Target::instance().device();
    const tenon_kv_desc desc{sizeof desc, 2, 3, 64, 64, 16, static_cast<uint32_t>(GetParam()), 7};
    auto info = device.kv_query(desc);
    CONFORMANCE_MADE(info);
    const uint64_t rows = uint64_t{2} * 3 * 16;  // of each a key and a value of 64
    const uint64_t bits = GetParam() == TENON_F32                               ? 32
                          : GetParam() == TENON_F16 || GetParam() == TENON_BF16 ? 16
                                                                                : 8;
    EXPECT_GE(info->block_bytes, rows * 128 * bits / 8);
    if (GetParam() == TENON_I8) {
        EXPECT_GT(info->block_bytes, rows * 128) << "where are the scales?";
    }
    EXPECT_GE(info->pool_bytes, info->block_bytes * 7);
    EXPECT_LE(info->pool_bytes, info->block_bytes * 7 + (1u << 20));
    EXPECT_TRUE(device.kv_pool(desc).ok());
    tenon_kv_desc odd = desc;
    odd.block_tokens = 24;
    EXPECT_FALSE(device.kv_pool(odd).ok());
    odd = desc;
    odd.dtype = 77;
    EXPECT_FALSE(device.kv_query(odd).ok());
    odd = desc;
    odd.n_layers = odd.n_kv_heads = odd.dim_k = odd.n_blocks = 0xffffffffu;
    EXPECT_FALSE(device.kv_pool(odd).ok());
}

// Blocks moved inside a pool, and swapped out to another pool and back, hold what they held.
TEST_P(KvPool, MovedBlocksHoldWhatTheyHeld) {
    Random random(Target::instance().seed(), 302);
    const Shape shape = kShapes[0];
    const Trial trial = make_trial(shape, GetParam(), random);
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    auto outside = Target::instance().device().kv_pool(*trial.kv);
    CONFORMANCE_MADE(outside);
    const std::vector<Stream> streams = make_streams(shape, random);
    Sequences sequences = Sequences::make(kSequences, 16, shape.table_width, nullptr);
    Step prefill = make_step(sequences, streams, {30, 0, 0});
    CONFORMANCE_OK(runner->run(prefill));
    const Sequences at_30 = sequences;
    Step wanted = make_step(sequences, streams, {1, 0, 0});
    CONFORMANCE_OK(runner->run(wanted));

    const auto move = [&](const std::vector<tenon_kv_move>& moves) -> Status {
        const tenon_point done = runner->timeline().at(runner->next_value());
        TENON_CHECK(runner->queue().kv_move(moves, {{}, {&done, 1}}));
        return runner->wait();
    };
    tenon_kv_pool* here = runner->kv().handle();
    tenon_kv_pool* there = outside->handle();
    // Sequence 0 lies in blocks 0 and 1; it goes to 9 and 6, by way of the other pool for one of
    // them.
    CONFORMANCE_OK(move({{there, here, 2, 0}, {here, here, 6, 1}}));
    CONFORMANCE_OK(move({{here, there, 9, 2}}));
    Sequences moved = at_30;
    moved.blocks[0] = {9, 6, 2, 3};
    Step got = make_step(moved, streams, {1, 0, 0});
    CONFORMANCE_OK(runner->run(got));
    EXPECT_TRUE(equal_bits(wanted.get<float>(kO), got.get<float>(kO)));

    const tenon_kv_move outside_of_pool{here, here, 12, 0};
    EXPECT_FALSE(runner->queue().kv_move({&outside_of_pool, 1}, {}).ok());
}

}  // namespace
