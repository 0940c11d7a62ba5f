// ADD, MUL, ACTIVATION and SOFTCAP against their references.
#include "shaders/elementwise/params.h"

#include <limits>

#include <tenon/reference/activation.h>
#include <tenon/reference/add.h>
#include <tenon/reference/mul.h>
#include <tenon/reference/softcap.h>

#include "tests/shaders/device_fixture.h"
#include "tests/shaders/numbers.h"

namespace tenon::shaders {
namespace {

constexpr uint32_t kLocal = 16;

class ElementwiseTest : public DeviceTest {
protected:
    void apply(uint32_t op, uint32_t activation, float cap, uint32_t cols,
               const std::vector<float>& a, const std::vector<float>& b, std::vector<float>& y) {
        y.assign(a.size(), 7.0f);
        const auto rows = static_cast<uint32_t>(a.size() / cols);
        Dispatch dispatch("elementwise", "plain");
        dispatch.push(ElementwiseParams{0, 0, cols, b.size() == a.size() ? cols : 0, cap})
            .spec(TENON_ELEMENTWISE_SPEC_LOCAL, kLocal)
            .spec(TENON_ELEMENTWISE_SPEC_OP, op)
            .spec(TENON_ELEMENTWISE_SPEC_ACTIVATION, activation)
            .in(TENON_ELEMENTWISE_A, a)
            .in(TENON_ELEMENTWISE_B, b)
            .out(TENON_ELEMENTWISE_Y, y);
        SHADER_OK(dispatch.run({ceil_div(cols, kLocal * TENON_ELEMENTWISE_COLS), rows, 1}, rows));
    }
};

TEST_F(ElementwiseTest, AddsAndMultiplies) {
    const uint32_t cols = 67;
    const std::vector<float> a = normals(5 * cols, 1);
    for (const size_t b_count : {size_t{cols}, a.size()}) {
        const std::vector<float> b = normals(b_count, 2);
        std::vector<float> y, wanted(a.size());
        apply(TENON_ELEMENTWISE_OP_ADD, 0, 0, cols, a, b, y);
        if (HasFatalFailure() || IsSkipped()) return;
        const auto count = static_cast<int64_t>(a.size());
        reference::add(a.data(), b.data(), count, static_cast<int64_t>(b_count), wanted.data());
        EXPECT_TRUE(same_bits(wanted, y));
        apply(TENON_ELEMENTWISE_OP_MUL, 0, 0, cols, a, b, y);
        if (HasFatalFailure() || IsSkipped()) return;
        reference::mul(a.data(), b.data(), count, static_cast<int64_t>(b_count), wanted.data());
        EXPECT_TRUE(same_bits(wanted, y));
    }
}

// Of all magnitudes, and the ends.
std::vector<float> arguments() {
    std::vector<float> x = {0.0f,
                            -0.0f,
                            1e30f,
                            -1e30f,
                            std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity()};
    for (float at = -30.0f; at < 30.0f; at += 0.0371f)
        x.push_back(at);
    for (float at = 1e-8f; at < 100.0f; at *= 1.7f) {
        x.push_back(at);
        x.push_back(-at);
    }
    return x;
}

TEST_F(ElementwiseTest, Activates) {
    const std::vector<float> x = arguments();
    const auto cols = static_cast<uint32_t>(x.size());
    for (const uint32_t kind :
         {TENON_ACT_NONE, TENON_ACT_SILU, TENON_ACT_GELU_TANH, TENON_ACT_GELU_ERF}) {
        std::vector<float> y, wanted(x.size());
        apply(TENON_ELEMENTWISE_OP_ACTIVATION, kind, 0, cols, x, {}, y);
        if (HasFatalFailure() || IsSkipped()) return;
        reference::activation(x.data(), cols, kind, wanted.data());
        EXPECT_TRUE(near(wanted, y, 1e-6, 3e-7)) << "activation " << kind;
    }
}

TEST_F(ElementwiseTest, Caps) {
    const std::vector<float> x = arguments();
    const auto cols = static_cast<uint32_t>(x.size());
    for (const float cap : {0.7f, 30.0f}) {
        std::vector<float> y, wanted(x.size());
        apply(TENON_ELEMENTWISE_OP_SOFTCAP, 0, cap, cols, x, {}, y);
        if (HasFatalFailure() || IsSkipped()) return;
        reference::softcap(x.data(), cols, cap, wanted.data());
        EXPECT_TRUE(near(wanted, y, 1e-6, 0)) << "cap " << cap;
    }
}

}  // namespace
}  // namespace tenon::shaders
