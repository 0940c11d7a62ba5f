// RMS_NORM against its reference.
#include "shaders/norm/params.h"

#include <limits>

#include <tenon/reference/rms_norm.h>

#include "tests/shaders/device_fixture.h"
#include "tests/shaders/numbers.h"

namespace tenon::shaders {
namespace {

struct Norm {
    uint32_t rows, cols;
    bool lanes = false;
    uint32_t local = 8;
    float gain_offset = 0;
};

class NormTest : public DeviceTest {
protected:
    // y, and the sums when `residual` is not empty.
    void norm(const Norm& n, const std::vector<float>& x, const std::vector<float>& gain,
              const std::vector<float>& residual, std::vector<float>& y, std::vector<float>& sum) {
        y.assign(x.size(), 7.0f);
        sum.assign(residual.size(), 7.0f);
        Dispatch dispatch("norm", n.lanes ? "lanes" : "plain");
        const uint32_t flags = residual.empty() ? 0 : TENON_NORM_RESIDUAL | TENON_NORM_SUM;
        dispatch.push(NormParams{0, 0, n.cols, flags, 1e-5f, n.gain_offset})
            .spec(TENON_NORM_SPEC_LOCAL, n.local)
            .in(TENON_NORM_X, x)
            .in(TENON_NORM_GAIN, gain)
            .in(TENON_NORM_RESIDUAL_AT, residual)
            .out(TENON_NORM_Y, y)
            .out(TENON_NORM_SUM_AT, sum);
        SHADER_OK(dispatch.run({n.lanes ? n.rows : ceil_div(n.rows, n.local), 1, 1}, n.rows));
    }

    void check(const Norm& n) {
        const std::vector<float> x = normals(n.rows * n.cols, 1, 3.0f);
        const std::vector<float> gain = normals(n.cols, 2);
        std::vector<float> y, sum, wanted(x.size()), wanted_sum(x.size());
        for (const bool with_residual : {false, true}) {
            const auto residual = with_residual ? normals(x.size(), 3) : std::vector<float>();
            norm(n, x, gain, residual, y, sum);
            if (HasFatalFailure() || IsSkipped()) return;
            reference::rms_norm(x.data(), gain.data(), with_residual ? residual.data() : nullptr,
                                n.rows, n.cols, 1e-5f, n.gain_offset, wanted.data(),
                                wanted_sum.data());
            EXPECT_TRUE(near(wanted, y, 1e-6, 1e-7)) << n.rows << " x " << n.cols;
            if (!with_residual) continue;
            EXPECT_TRUE(same_bits(wanted_sum, sum));
        }
    }
};

TEST_F(NormTest, AgreesWithTheReference) {
    for (const uint32_t cols : {1u, 33u, 64u, 576u}) {
        for (const uint32_t rows : {1u, 3u, 21u}) {
            check({rows, cols});
            check({rows, cols, true});
            if (HasFatalFailure() || IsSkipped()) return;
        }
    }
    check({5, 96, false, 8, 1.0f});
    check({5, 96, true, 32, 1.0f});
}

TEST_F(NormTest, ABrokenRowStaysAlone) {
    for (const bool lanes : {false, true}) {
        const Norm n{9, 64, lanes};
        std::vector<float> x = normals(n.rows * n.cols, 1);
        const std::vector<float> gain = normals(n.cols, 2);
        std::vector<float> sound, got, sum;
        norm(n, x, gain, {}, sound, sum);
        x[4 * n.cols + 11] = std::numeric_limits<float>::quiet_NaN();
        norm(n, x, gain, {}, got, sum);
        if (HasFatalFailure() || IsSkipped()) return;
        for (uint32_t c = 0; c < n.cols; ++c) {
            EXPECT_TRUE(std::isnan(got[4 * n.cols + c]));
            got[4 * n.cols + c] = sound[4 * n.cols + c];
        }
        EXPECT_TRUE(same_bits(sound, got));
    }
}

}  // namespace
}  // namespace tenon::shaders
