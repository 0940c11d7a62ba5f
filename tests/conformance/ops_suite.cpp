// Every op but attention and sampling against its reference, at odd shapes, in both compute modes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "core/formats/format_list.h"
#include "tests/conformance/noise_model.h"

namespace {

using namespace tenon;
using namespace tenon::conformance;
using ops::Dim;
using ops::kNoValue;
using ops::ProgramBuilder;
using ops::ValueId;

constexpr int64_t kTokensMax = 40;
constexpr int64_t kTokenCounts[] = {1, 2, 5, 33};

using MakeStep = std::function<void(Step&, int64_t tokens)>;
using Judge = std::function<::testing::AssertionResult(const Step& wanted, const Step& got)>;

// Runs `make_step` on both sides for every token count.
void check(const Trial& trial, tenon_compute compute, const MakeStep& make_step,
           const Judge& judge) {
    auto runner = Runner::create(trial, compute);
    CONFORMANCE_MADE(runner);
    Oracle oracle(trial);
    for (const int64_t tokens : kTokenCounts) {
        SCOPED_TRACE(::testing::Message() << tokens << " tokens, " << compute_name(compute));
        Step step;
        step.symbols = {tokens};
        make_step(step, tokens);
        step.prepare_outputs(trial.view());
        Step wanted = step;
        CONFORMANCE_OK(oracle.run(wanted));
        CONFORMANCE_OK(runner->run(step));
        EXPECT_TRUE(judge(wanted, step));
    }
}

void check(const Trial& trial, tenon_compute compute, uint32_t out, Tolerance tolerance,
           const MakeStep& make_step) {
    check(trial, compute, make_step, [&](const Step& wanted, const Step& got) {
        return close_to(wanted.get<float>(out), got.get<float>(out), tolerance);
    });
}

// Slot 1 is alpha * x w^T and more that is exact, for x in slot 0 and w the first weight of the
// trial.
void check_matmul(const Trial& trial, tenon_compute compute, float alpha,
                  const MakeStep& make_step) {
    check(trial, compute, make_step, [&](const Step& wanted, const Step& got) {
        return within_noise(wanted.get<float>(1), got.get<float>(1),
                            matmul_variance(trial.weights[0], got.get<float>(0), compute, alpha));
    });
}

struct MatmulCase {
    std::string format;
    tenon_compute compute;
};

class Matmul : public ::testing::TestWithParam<MatmulCase> {
protected:
    Random random{Target::instance().seed(), 100};
    const tenon_format& format() const { return formats::find_format(GetParam().format)->format; }
    TrialWeight weight(const char* name, int64_t rows, int64_t cols,
                       uint32_t uses = TENON_USE_MATMUL) {
        return {name,      format(), rows, cols, uses, random_weight(random, format(), rows, cols),
                TENON_NONE};
    }
};

TEST_P(Matmul, OddRowsAndColumns) {
    const int64_t shapes[][2] = {{1, 32},    {3, 64},   {17, 96},   {64, 160},
                                 {131, 288}, {33, 576}, {1030, 160}};
    for (const auto& [rows, least] : shapes) {
        const int64_t cols = whole_blocks(format(), least);
        SCOPED_TRACE(::testing::Message() << rows << " rows of " << cols);
        Trial trial;
        const uint32_t entry = trial.add(weight("w", rows, cols));
        ProgramBuilder b;
        const Dim tokens = Dim::of(b.symbol("T", kTokensMax));
        const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
        b.mark_output(b.matmul("y", x, b.weight("w", entry, {rows, cols})), 1);
        trial.program = b.build();
        check_matmul(trial, GetParam().compute, 1.0f, [&, width = cols](Step& step, int64_t count) {
            step.set(0, random.normals(count * width));
        });
        if (IsSkipped() || HasFatalFailure()) return;
    }
}

TEST_P(Matmul, BiasResidualAndAlpha) {
    const int64_t rows = 37;
    const int64_t cols = whole_blocks(format(), 96);
    for (int which = 1; which < 4; ++which) {
        SCOPED_TRACE(which);
        Trial trial;
        const uint32_t entry = trial.add(weight("w", rows, cols));
        const uint32_t bias = trial.add_floats("bias", random.normals(rows, 0.5f));
        ProgramBuilder b;
        const Dim tokens = Dim::of(b.symbol("T", kTokensMax));
        const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
        const ValueId residual = b.input("residual", 2, TENON_F32, {tokens, rows});
        b.mark_output(b.matmul("y", x, b.weight("w", entry, {rows, cols}),
                               (which & 1) != 0 ? b.weight("bias", bias, {rows}) : kNoValue,
                               (which & 2) != 0 ? residual : kNoValue, 0.75f),
                      1);
        trial.program = b.build();
        check_matmul(trial, GetParam().compute, 0.75f, [&](Step& step, int64_t count) {
            step.set(0, random.normals(count * cols));
            step.set(2, random.normals(count * rows));
        });
        if (IsSkipped() || HasFatalFailure()) return;
    }
}

TEST_P(Matmul, SkewedActivations) {
    // One large element in each block costs int8 activations the most; bf16 nothing.
    const int64_t rows = 24;
    const int64_t cols = whole_blocks(format(), 128);
    Trial trial;
    const uint32_t entry = trial.add(weight("w", rows, cols));
    ProgramBuilder b;
    const Dim tokens = Dim::of(b.symbol("T", kTokensMax));
    const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
    b.mark_output(b.matmul("y", x, b.weight("w", entry, {rows, cols})), 1);
    trial.program = b.build();
    check_matmul(trial, GetParam().compute, 1.0f, [&](Step& step, int64_t count) {
        std::vector<float> numbers = random.normals(count * cols);
        for (size_t i = 7; i < numbers.size(); i += 32)
            numbers[i] *= 20;
        step.set(0, numbers);
    });
}

TEST_P(Matmul, ZeroRowsStayZero) {
    const int64_t cols = whole_blocks(format(), 64);
    Trial trial;
    const uint32_t entry = trial.add(weight("w", 9, cols));
    ProgramBuilder b;
    const Dim tokens = Dim::of(b.symbol("T", kTokensMax));
    const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
    b.mark_output(b.matmul("y", x, b.weight("w", entry, {9, cols})), 1);
    trial.program = b.build();
    check(trial, GetParam().compute, 1, kFloatTolerance, [&](Step& step, int64_t count) {
        step.set(0, std::vector<float>(static_cast<size_t>(count * cols), 0.0f));
    });
}

TEST_P(Matmul, GatedUnit) {
    const int64_t rows = 49;
    const int64_t cols = whole_blocks(format(), 96);
    for (const tenon_activation activation :
         {TENON_ACT_SILU, TENON_ACT_GELU_TANH, TENON_ACT_GELU_ERF}) {
        SCOPED_TRACE(activation);
        Trial trial;
        TrialWeight gate = weight("gate", rows, cols);
        TrialWeight up = weight("up", rows, cols);
        gate.fuse_group = up.fuse_group = 0;
        const uint32_t gate_entry = trial.add(std::move(gate));
        const uint32_t up_entry = trial.add(std::move(up));
        ProgramBuilder b;
        const Dim tokens = Dim::of(b.symbol("T", kTokensMax));
        const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
        b.mark_output(b.matmul_glu("y", x, b.weight("gate", gate_entry, {rows, cols}),
                                   b.weight("up", up_entry, {rows, cols}), activation),
                      1);
        trial.program = b.build();
        check(
            trial, GetParam().compute,
            [&](Step& step, int64_t count) { step.set(0, random.normals(count * cols)); },
            [&](const Step& wanted, const Step& got) {
                return within_noise(
                    wanted.get<float>(1), got.get<float>(1),
                    glu_variance(trial.weights[0], trial.weights[1], got.get<float>(0),
                                 GetParam().compute, activation));
            });
        if (IsSkipped() || HasFatalFailure()) return;
    }
}

TEST_P(Matmul, TiedTableIsLookedUpAndMultiplied) {
    const int64_t rows = 43;
    const int64_t cols = whole_blocks(format(), 64);
    Trial trial;
    const uint32_t entry =
        trial.add(weight("table", rows, cols, TENON_USE_MATMUL | TENON_USE_ROWS));
    ProgramBuilder b;
    const Dim tokens = Dim::of(b.symbol("T", kTokensMax));
    const ValueId ids = b.input("ids", 0, TENON_I32, {tokens});
    const ValueId table = b.weight("table", entry, {rows, cols});
    const ValueId x = b.embed("x", table, ids, 3.0f);
    b.mark_output(x, 1);
    // Of few levels, a row's rounding errors would be equal instead of independent.
    const ValueId moved = b.add("moved", x, b.input("move", 3, TENON_F32, {tokens, cols}));
    b.mark_output(moved, 4);
    b.mark_output(b.matmul("y", moved, table), 2);
    trial.program = b.build();
    auto runner = Runner::create(trial, GetParam().compute);
    CONFORMANCE_MADE(runner);
    Oracle oracle(trial);
    for (const int64_t count : kTokenCounts) {
        SCOPED_TRACE(count);
        std::vector<int32_t> drawn(static_cast<size_t>(count));
        for (int32_t& id : drawn)
            id = static_cast<int32_t>(random.below(rows));
        drawn[0] = static_cast<int32_t>(rows - 1);
        Step step;
        step.symbols = {count};
        step.set(0, drawn);
        step.set(3, random.normals(count * cols, 0.5f));
        step.prepare_outputs(trial.view());
        Step wanted = step;
        CONFORMANCE_OK(oracle.run(wanted));
        CONFORMANCE_OK(runner->run(step));
        EXPECT_TRUE(close_to(wanted.get<float>(1), step.get<float>(1), kFloatTolerance));
        EXPECT_TRUE(close_to(wanted.get<float>(4), step.get<float>(4), kFloatTolerance));
        EXPECT_TRUE(within_noise(
            wanted.get<float>(2), step.get<float>(2),
            matmul_variance(trial.weights[0], wanted.get<float>(4), GetParam().compute, 1.0f)));
    }
}

// A row's result does not depend on which rows are beside it, where the program promises it.
TEST_P(Matmul, BatchInvariance) {
    const int64_t rows = 70;
    const int64_t cols = whole_blocks(format(), 160);
    Trial trial;
    const uint32_t entry = trial.add(weight("w", rows, cols));
    ProgramBuilder b;
    const Dim tokens = Dim::of(b.symbol("T", 150));
    const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
    b.mark_output(b.matmul("y", x, b.weight("w", entry, {rows, cols})), 1);
    trial.program = b.build();
    auto runner = Runner::create(trial, GetParam().compute, TENON_PREPARE_DETERMINISTIC);
    CONFORMANCE_MADE(runner);
    if (!runner->deterministic()) GTEST_SKIP() << "the program does not claim EXEC_DETERMINISTIC";
    const std::vector<float> all = random.normals(150 * cols);
    Step together;
    together.symbols = {150};
    together.set(0, all);
    CONFORMANCE_OK(runner->run(together));
    const std::vector<float> wanted = together.get<float>(1);
    for (const int64_t size : {1, 2, 3, 4, 7, 16, 64, 97}) {
        for (int64_t at = 0; at + size <= 150; at += 47) {
            SCOPED_TRACE(::testing::Message() << "rows " << at << " to " << at + size);
            Step part;
            part.symbols = {size};
            part.set(0,
                     std::vector<float>(all.begin() + at * cols, all.begin() + (at + size) * cols));
            CONFORMANCE_OK(runner->run(part));
            EXPECT_TRUE(equal_bits(
                std::vector<float>(wanted.begin() + at * rows, wanted.begin() + (at + size) * rows),
                part.get<float>(1)));
        }
    }
}

// A row that holds a NaN spoils no other row.
TEST_P(Matmul, ABrokenRowStaysAlone) {
    const int64_t rows = 70;
    const int64_t cols = whole_blocks(format(), 160);
    Trial trial;
    const uint32_t entry = trial.add(weight("w", rows, cols));
    ProgramBuilder b;
    const Dim tokens = Dim::of(b.symbol("T", 40));
    const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
    b.mark_output(b.matmul("y", x, b.weight("w", entry, {rows, cols})), 1);
    trial.program = b.build();
    auto runner = Runner::create(trial, GetParam().compute);
    CONFORMANCE_MADE(runner);
    for (const int64_t count : {3, 8, 40}) {
        Step step;
        step.symbols = {count};
        std::vector<float> numbers = random.normals(count * cols);
        step.set(0, numbers);
        CONFORMANCE_OK(runner->run(step));
        std::vector<float> wanted = step.get<float>(1);
        const int64_t broken = random.below(count);
        numbers[static_cast<size_t>(broken * cols + random.below(cols))] =
            random.below(2) == 0 ? std::numeric_limits<float>::quiet_NaN()
                                 : std::numeric_limits<float>::infinity();
        step.set(0, numbers);
        CONFORMANCE_OK(runner->run(step));
        std::vector<float> got = step.get<float>(1);
        const auto drop = [&](std::vector<float>& y) {
            const auto begin = y.begin() + broken * rows;
            const std::vector<float> row(begin, begin + rows);
            y.erase(begin, begin + rows);
            return row;
        };
        drop(wanted);
        const std::vector<float> row = drop(got);
        SCOPED_TRACE(::testing::Message() << "row " << broken << " of " << count);
        EXPECT_TRUE(equal_bits(wanted, got));
        if (!Target::instance().computes()) continue;
        const auto finite = [](float y) { return std::isfinite(y); };
        EXPECT_FALSE(std::all_of(row.begin(), row.end(), finite)) << "the NaN was lost";
    }
}

std::vector<MatmulCase> matmul_cases() {
    std::vector<MatmulCase> cases;
    for (const formats::StoredFormat& stored : formats::stored_formats()) {
        cases.push_back({std::string(stored.name), TENON_COMPUTE_FAST});
        cases.push_back({std::string(stored.name), TENON_COMPUTE_PRECISE});
    }
    return cases;
}

INSTANTIATE_TEST_SUITE_P(Ops, Matmul, ::testing::ValuesIn(matmul_cases()), [](const auto& one) {
    return one.param.format + "_" + compute_name(one.param.compute);
});

class Elementwise : public ::testing::TestWithParam<tenon_compute> {
protected:
    Random random{Target::instance().seed(), 200};
};

TEST_P(Elementwise, RmsNorm) {
    for (const int64_t cols : {32, 96, 576, 33}) {
        SCOPED_TRACE(cols);
        Trial trial;
        const uint32_t gain = trial.add_floats("gain", random.normals(cols));
        ProgramBuilder b;
        const Dim tokens = Dim::of(b.symbol("T", kTokensMax));
        const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
        b.mark_output(b.rms_norm("y", x, b.weight("gain", gain, {cols}), 1e-5f), 1);
        trial.program = b.build();
        check(trial, GetParam(), 1, kFloatTolerance, [&, width = cols](Step& step, int64_t count) {
            step.set(0, random.normals(count * width, 3.0f));
        });
        if (IsSkipped() || HasFatalFailure()) return;
    }
}

TEST_P(Elementwise, RmsNormAfterAResidual) {
    const int64_t cols = 96;
    for (const uint32_t out : {1u, 3u}) {
        SCOPED_TRACE(out == 1 ? "y" : "sum");
        Trial trial;
        const uint32_t gain = trial.add_floats("gain", random.normals(cols));
        ProgramBuilder b;
        const Dim tokens = Dim::of(b.symbol("T", kTokensMax));
        const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
        const ValueId residual = b.input("residual", 2, TENON_F32, {tokens, cols});
        ValueId sum = kNoValue;
        const ValueId y =
            b.rms_norm("y", x, b.weight("gain", gain, {cols}), 1e-5f, residual, &sum, 1.0f);
        b.mark_output(y, 1);
        b.mark_output(sum, 3);
        trial.program = b.build();
        check(trial, GetParam(), out, kFloatTolerance, [&](Step& step, int64_t count) {
            step.set(0, random.normals(count * cols));
            step.set(2, random.normals(count * cols));
        });
        if (IsSkipped() || HasFatalFailure()) return;
    }
}

// One node of one or two float inputs [T, 65]; `row` makes the second one row of a weight.
void check_simple(Random& random, tenon_compute compute, bool two, bool row,
                  const std::function<ValueId(ProgramBuilder&, ValueId, ValueId)>& make) {
    const int64_t cols = 65;
    Trial trial;
    const uint32_t entry = trial.add_floats("row", random.normals(cols));
    ProgramBuilder b;
    const Dim tokens = Dim::of(b.symbol("T", kTokensMax));
    const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
    ValueId second = kNoValue;
    if (two) {
        second = row ? b.weight("row", entry, {cols}) : b.input("b", 2, TENON_F32, {tokens, cols});
    }
    b.mark_output(make(b, x, second), 1);
    trial.program = b.build();
    check(trial, compute, 1, kFloatTolerance, [&](Step& step, int64_t count) {
        step.set(0, random.normals(count * cols, 4.0f));
        if (two && !row) step.set(2, random.normals(count * cols));
    });
}

TEST_P(Elementwise, Add) {
    check_simple(random, GetParam(), true, false,
                 [](ProgramBuilder& b, ValueId x, ValueId y) { return b.add("y", x, y); });
}

TEST_P(Elementwise, AddOneRow) {
    check_simple(random, GetParam(), true, true,
                 [](ProgramBuilder& b, ValueId x, ValueId y) { return b.add("y", x, y); });
}

TEST_P(Elementwise, Mul) {
    check_simple(random, GetParam(), true, false,
                 [](ProgramBuilder& b, ValueId x, ValueId y) { return b.mul("y", x, y); });
}

TEST_P(Elementwise, MulOneRow) {
    check_simple(random, GetParam(), true, true,
                 [](ProgramBuilder& b, ValueId x, ValueId y) { return b.mul("y", x, y); });
}

TEST_P(Elementwise, Activation) {
    for (const tenon_activation kind :
         {TENON_ACT_NONE, TENON_ACT_SILU, TENON_ACT_GELU_TANH, TENON_ACT_GELU_ERF}) {
        SCOPED_TRACE(kind);
        check_simple(random, GetParam(), false, false, [&](ProgramBuilder& b, ValueId x, ValueId) {
            return b.activation("y", x, kind);
        });
        if (IsSkipped() || HasFatalFailure()) return;
    }
}

TEST_P(Elementwise, Softcap) {
    check_simple(random, GetParam(), false, false, [](ProgramBuilder& b, ValueId x, ValueId) {
        const tenon_attr_softcap attr{sizeof attr, 3.0f};
        return b.node(TENON_OP_SOFTCAP, "y", {x}, {{"y", TENON_F32, b.dims_of(x)}}, &attr,
                      sizeof attr);
    });
}

TEST_P(Elementwise, GatherRows) {
    const int64_t cols = 40;
    Trial trial;
    ProgramBuilder b;
    const Dim tokens = Dim::of(b.symbol("T", kTokensMax));
    const Dim rows = Dim::of(b.symbol("L", 7));
    const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
    const ValueId which = b.input("rows", 2, TENON_I32, {rows});
    b.mark_output(b.gather_rows("y", x, which), 1);
    trial.program = b.build();
    check(trial, GetParam(), 1, kFloatTolerance, [&](Step& step, int64_t count) {
        step.symbols = {count, 1 + random.below(7)};
        step.set(0, random.normals(count * cols));
        std::vector<int32_t> drawn(static_cast<size_t>(step.symbols[1]));
        for (int32_t& row : drawn)
            row = static_cast<int32_t>(random.below(count));
        drawn.back() = static_cast<int32_t>(count - 1);
        step.set(2, drawn);
    });
}

TEST_P(Elementwise, PoolRows) {
    const int64_t cols = 40;
    for (const tenon_pool_kind kind : {TENON_POOL_LAST, TENON_POOL_FIRST, TENON_POOL_MEAN}) {
        SCOPED_TRACE(kind);
        Trial trial;
        ProgramBuilder b;
        const Dim tokens = Dim::of(b.symbol("T", kTokensMax));
        const uint32_t s = b.symbol("S", 3);
        const ValueId x = b.input("x", 0, TENON_F32, {tokens, cols});
        const ValueId q_start = b.input("q_start", 2, TENON_I32, {Dim::of(s, 1, 1)});
        b.mark_output(b.pool_rows("y", x, q_start, kind), 1);
        trial.program = b.build();
        check(trial, GetParam(), 1, kFloatTolerance, [&](Step& step, int64_t count) {
            const auto all = static_cast<int32_t>(count);
            const auto first = static_cast<int32_t>(1 + random.below(count));
            step.symbols = {count, first < all ? 2 : 1};
            step.set(0, random.normals(count * cols));
            step.set(2, first < all ? std::vector<int32_t>{0, first, all}
                                    : std::vector<int32_t>{0, all});
        });
        if (IsSkipped() || HasFatalFailure()) return;
    }
}

INSTANTIATE_TEST_SUITE_P(Ops, Elementwise,
                         ::testing::Values(TENON_COMPUTE_FAST, TENON_COMPUTE_PRECISE),
                         [](const auto& one) { return compute_name(one.param); });

}  // namespace
