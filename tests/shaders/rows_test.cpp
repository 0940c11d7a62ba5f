// GATHER_ROWS and POOL_ROWS against their references, and their refusals.
#include "shaders/rows/params.h"

#include <tenon/reference/gather_rows.h>
#include <tenon/reference/pool_rows.h>

#include "tests/shaders/device_fixture.h"
#include "tests/shaders/numbers.h"

namespace tenon::shaders {
namespace {

constexpr uint32_t kLocal = 8;
constexpr uint32_t kCols = 41;
constexpr uint32_t kTokens = 23;

class RowsTest : public DeviceTest {
protected:
    const std::vector<float> x = normals(kTokens * kCols, 1);
    StepError error{};

    void take(uint32_t op, const std::vector<int32_t>& index, uint32_t rows,
              std::vector<float>& y) {
        y.assign(rows * kCols, 7.0f);
        Dispatch dispatch("rows", "plain");
        dispatch.push(RowsParams{0, 0, 3, kCols})
            .other_rows(kTokens)
            .spec(TENON_ROWS_SPEC_LOCAL, kLocal)
            .spec(TENON_ROWS_SPEC_OP, op)
            .in(TENON_ROWS_X, x)
            .in(TENON_ROWS_INDEX, index)
            .out(TENON_ROWS_Y, y);
        SHADER_OK(dispatch.run({ceil_div(kCols, kLocal * TENON_ROWS_COLS), rows, 1}, rows));
        error = dispatch.error();
    }
};

TEST_F(RowsTest, Gathers) {
    const std::vector<int32_t> index = {22, 0, 5, 5};
    std::vector<float> y, wanted(4 * kCols);
    take(TENON_ROWS_OP_GATHER, index, 4, y);
    if (HasFatalFailure() || IsSkipped()) return;
    reference::gather_rows(x.data(), kCols, index.data(), 4, wanted.data());
    EXPECT_TRUE(same_bits(wanted, y));
    EXPECT_EQ(error.kind, uint32_t{ERROR_NONE});
}

TEST_F(RowsTest, Pools) {
    const std::vector<int32_t> starts = {0, 7, 7, 8, 21};
    for (const uint32_t kind : {TENON_POOL_LAST, TENON_POOL_FIRST, TENON_POOL_MEAN}) {
        std::vector<float> y, wanted(4 * kCols);
        take(kind, starts, 4, y);
        if (HasFatalFailure() || IsSkipped()) return;
        reference::pool_rows(x.data(), kCols, starts.data(), 4, kind, wanted.data());
        EXPECT_TRUE(near(wanted, y, 1e-6, 1e-7)) << "kind " << kind;
        EXPECT_EQ(error.kind, uint32_t{ERROR_NONE});
    }
}

TEST_F(RowsTest, RefusesWhatIsOutside) {
    std::vector<float> y;
    for (const int32_t wrong : {23, -1, 0x7fffffff}) {
        take(TENON_ROWS_OP_GATHER, {0, wrong, 3}, 3, y);
        if (HasFatalFailure() || IsSkipped()) return;
        EXPECT_EQ(error.kind, uint32_t{ERROR_ROW_INDEX});
        EXPECT_EQ(error.index, 1u);
        EXPECT_EQ(error.value, static_cast<uint32_t>(wrong));
    }
    for (const std::vector<int32_t>& starts :
         {std::vector<int32_t>{0, 5, 4}, {0, 5, 24}, {0, 5, -7}, {1, 5, 8}, {0, -2, 3}}) {
        take(TENON_POOL_MEAN, starts, 2, y);
        if (HasFatalFailure() || IsSkipped()) return;
        EXPECT_EQ(error.kind, uint32_t{ERROR_Q_START})
            << starts[0] << " " << starts[1] << " " << starts[2];
    }
}

}  // namespace
}  // namespace tenon::shaders
