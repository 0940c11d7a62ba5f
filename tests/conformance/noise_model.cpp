#include "tests/conformance/noise_model.h"

#include <fmt/format.h>
#include <tenon/reference/activation.h>
#include <tenon/reference/dequant.h>
#include <tenon/reference/matmul.h>

#include <algorithm>
#include <cmath>

namespace tenon::conformance {
namespace {

constexpr size_t kBlock = 32;

// Variance of each activation once rounded.
std::vector<double> activation_variance(const std::vector<float>& x, size_t cols, bool int8) {
    std::vector<double> variance(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
        // bf16: half a unit in the last of its 8 bits, at most.
        const double half = x[i] == 0 ? 0 : std::ldexp(1.0, std::ilogb(x[i]) - 8);
        variance[i] = half * half / 3;
    }
    if (!int8) return variance;
    for (size_t row = 0; row < x.size(); row += cols) {
        for (size_t block = 0; block < cols; block += kBlock) {
            const size_t begin = row + block;
            const size_t end = row + std::min(block + kBlock, cols);
            double largest = 0;
            for (size_t i = begin; i < end; ++i)
                largest = std::max(largest, std::fabs(double{x[i]}));
            const double step = largest / 127;
            for (size_t i = begin; i < end; ++i)
                variance[i] += step * step / 12;
        }
    }
    return variance;
}

// x w^T, in double.
std::vector<double> product(const TrialWeight& weight, const std::vector<float>& x) {
    const auto cols = static_cast<size_t>(weight.cols);
    const auto rows = static_cast<size_t>(weight.rows);
    std::vector<double> y(x.size() / cols * rows);
    std::vector<float> w(cols);
    const size_t row_bytes = weight.bytes.size() / rows;
    for (size_t r = 0; r < rows; ++r) {
        reference::dequant_row(weight.format, weight.bytes.data() + r * row_bytes, weight.cols,
                               w.data());
        for (size_t t = 0; t < x.size() / cols; ++t) {
            y[t * rows + r] = reference::dot(x.data() + t * cols, w.data(), weight.cols);
        }
    }
    return y;
}

}  // namespace

std::vector<double> glu_variance(const TrialWeight& gate, const TrialWeight& up,
                                 const std::vector<float>& x, tenon_compute compute,
                                 tenon_activation activation) {
    const std::vector<double> g = product(gate, x);
    const std::vector<double> u = product(up, x);
    const std::vector<double> of_g = matmul_variance(gate, x, compute, 1.0f);
    const std::vector<double> of_u = matmul_variance(up, x, compute, 1.0f);
    std::vector<double> variance(g.size());
    for (size_t i = 0; i < g.size(); ++i) {
        const double a = reference::activate(g[i], activation);
        const double h = 1e-4;
        const double slope = (reference::activate(g[i] + h, activation) -
                              reference::activate(g[i] - h, activation)) /
                             (2 * h);
        // Slopes stay below 1.13 and curvatures below 1.13 for every activation.
        const double of_a = slope * slope * of_g[i] + 0.32 * of_g[i] * of_g[i];
        variance[i] = of_a * u[i] * u[i] + a * a * of_u[i] + 1.3 * of_g[i] * of_u[i];
    }
    return variance;
}

std::vector<double> matmul_variance(const TrialWeight& weight, const std::vector<float>& x,
                                    tenon_compute compute, float alpha) {
    const auto cols = static_cast<size_t>(weight.cols);
    const auto rows = static_cast<size_t>(weight.rows);
    const bool int8 = compute == TENON_COMPUTE_FAST && weight.format.cls != TENON_FORMAT_FLOAT;
    const std::vector<double> of_x = activation_variance(x, cols, int8);
    std::vector<double> variance(x.size() / cols * rows, 0.0);
    std::vector<float> w(cols);
    const size_t row_bytes = weight.bytes.size() / rows;
    for (size_t r = 0; r < rows; ++r) {
        reference::dequant_row(weight.format, weight.bytes.data() + r * row_bytes, weight.cols,
                               w.data());
        for (size_t t = 0; t < x.size() / cols; ++t) {
            double sum = 0;
            for (size_t k = 0; k < cols; ++k)
                sum += double{w[k]} * w[k] * of_x[t * cols + k];
            variance[t * rows + r] = sum * alpha * alpha;
        }
    }
    return variance;
}

::testing::AssertionResult within_noise(const std::vector<float>& reference,
                                        const std::vector<float>& got,
                                        const std::vector<double>& variance) {
    if (!count_comparison()) return ::testing::AssertionSuccess();
    if (reference.size() != got.size() || variance.size() != got.size()) {
        return ::testing::AssertionFailure()
               << got.size() << " numbers; the reference has " << reference.size();
    }
    double squares = 0;
    double expected = 0;
    double expected_squares = 0;
    for (size_t i = 0; i < got.size(); ++i) {
        const double error = double{got[i]} - reference[i];
        // The result itself is rounded to float.
        const double rounding = std::fabs(double{reference[i]}) * 0x1p-22;
        const double allowed = variance[i] + rounding * rounding;
        if (!(error * error <= 49 * allowed)) {
            return ::testing::AssertionFailure()
                   << fmt::format("number {} is {} for {}, {:.3g} standard deviations away", i,
                                  got[i], reference[i], std::fabs(error) / std::sqrt(allowed));
        }
        squares += error * error;
        expected += allowed;
        expected_squares += allowed * allowed;
    }
    // Where few numbers hold most of the variance, the sum spreads as that of few numbers does.
    const double effective = expected_squares > 0 ? expected * expected / expected_squares : 1.0;
    const double limit = 2 + 50.0 / effective;
    if (squares <= limit * expected) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << fmt::format("the squared errors add up to {:.3g} times their variance (limit {:.3g})",
                          squares / expected, limit);
}

}  // namespace tenon::conformance
