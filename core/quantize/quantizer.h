// Writes a model in another format: tensor by tensor, rows split over threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/formats/gguf.h"
#include "core/quantize/tensor_plan.h"

namespace tenon::quantize {

// How far decoded weights lie from their source.
struct ErrorSums {
    uint64_t elements = 0;
    double squared_error = 0, squares = 0, max_error = 0;

    void add(const ErrorSums& other) noexcept;
    double rmse() const noexcept;
    double nmse() const noexcept;  // squared error over squares; 0 where both are
};

struct TensorReport {
    std::string name, from, to, note;
    uint64_t rows = 0, cols = 0;
    uint64_t bytes_before = 0, bytes = 0;
    bool is_copied = false;
    ErrorSums error;  // zero where copied
};

struct Report {
    uint64_t file_bytes = 0;
    std::vector<TensorReport> tensors;  // in file order
    ErrorSums total;                    // of the tensors that were not copied
    uint64_t fallbacks = 0;             // tensors with a note
};

struct QuantizeOptions {
    Request request;
    uint32_t threads = 1;
    bool replace = false;                              // an output that exists
    bool dry_run = false;                              // plan and sizes, nothing written
    const volatile uint32_t* cancel = nullptr;         // not 0: stop with kCancelled
    std::function<void(uint64_t, uint64_t)> progress;  // elements done, of all; calling thread
};

// Reads the model at `in` (any part of a split one) and writes `out`, which appears when it is
// complete or not at all. Metadata goes over in order; general.file_type and
// general.quantization_version are set, keys of a split are left out. Memory: a slab of rows per
// tensor, not the tensor. kData names the tensor, row and column of a weight that is no number.
Result<Report> quantize_file(const std::string& in, const std::string& out,
                             const QuantizeOptions& options, formats::FormatTable table = {});

}  // namespace tenon::quantize
