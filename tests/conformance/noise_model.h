// How far a matmul with rounded activations may lie from the exact one.
//
// Both modes round x and nothing else. fast rounds to int8, at most 32 to a scale, where weights are
// quantised: the step is the block's largest element / 127, so each element carries a variance of
// step^2 / 12. precise, and fast with float weights, rounds to bf16 or better: at most x 2^-9, a
// variance of (x 2^-9)^2 / 3. An output y[t][r] then carries the sum of w[r][k]^2 times the
// variance of x[t][k]. That holds for any shape, where a limit relative to y fails when y is small
// by chance.
#pragma once

#include <vector>

#include "tests/conformance/trial.h"

namespace tenon::conformance {

// Variance of each element of alpha * (x w^T), row by row; x holds rows of weight.cols.
std::vector<double> matmul_variance(const TrialWeight& weight, const std::vector<float>& x,
                                    tenon_compute compute, float alpha);

// The same for activation(x gate^T) * (x up^T): to first order in both factors, and what their
// errors make of each other.
std::vector<double> glu_variance(const TrialWeight& gate, const TrialWeight& up,
                                 const std::vector<float>& x, tenon_compute compute,
                                 tenon_activation activation);

// Every error within seven standard deviations, and their squares together within what the
// variances add up to, doubled, with room for chance when there are few. Passes on a device that
// computes nothing.
::testing::AssertionResult within_noise(const std::vector<float>& reference,
                                        const std::vector<float>& got,
                                        const std::vector<double>& variance);

}  // namespace tenon::conformance
