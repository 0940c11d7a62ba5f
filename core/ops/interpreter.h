// Runs a program over the references: the oracle of every backend. Slow; everything is float.
#pragma once

#include <tenon/abi.h>
#include <tenon/reference/kv.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/ops/program.h"

namespace tenon::ops {

// One entry of the weight set: rows of stored blocks, back to back. Borrows bytes.
struct StoredWeight {
    tenon_format format;
    int64_t rows = 0;
    int64_t cols = 0;
    std::span<const std::byte> bytes;
};

// Owns a KV pool in the layout of the references. Move-only.
class HostKv {
public:
    // Zeroed. desc was checked: its extents multiply to memory that can be had.
    explicit HostKv(const tenon_kv_desc& desc);
    HostKv(HostKv&&) noexcept = default;
    HostKv& operator=(HostKv&&) noexcept = default;

    const reference::ReferenceKv& view() const noexcept { return view_; }

private:
    std::vector<float> data_;
    reference::ReferenceKv view_;
};

// The program, the bytes of the weights and the KV pool must outlive it. Thread-compatible.
class Interpreter {
public:
    // Verifies the program, decodes every weight that it reads, and checks both against each other.
    // kv may be null for a program without KV values.
    static Result<Interpreter> create(const tenon_program& program,
                                      std::span<const StoredWeight> weights,
                                      const reference::ReferenceKv* kv);

    // One step. symbols: one value for each symbol, 0 .. max. buffers: one for each slot, at least
    // as long as the value bound there, aligned for its elements, empty where the slot is unused.
    // Inputs are read, outputs written. kInvalid when a buffer is short or an index input leaves
    // its array.
    Status run(std::span<const int64_t> symbols, std::span<const std::span<std::byte>> buffers);

    // Contents of a temporary or output after run(), as floats; empty for other values.
    std::span<const float> result_of(ValueId value) const noexcept;

private:
    explicit Interpreter(const tenon_program& program) : program_(&program) {}
    Status decode(uint32_t value, std::span<const StoredWeight> weights);
    Status bind(std::span<const int64_t> symbols, std::span<const std::span<std::byte>> buffers);

    struct Array {
        std::vector<uint64_t> storage;  // 8-byte elements keep every dtype aligned
        void* data = nullptr;
        int64_t dims[TENON_MAX_RANK] = {};
        int64_t count = 0;
    };
    const tenon_program* program_;
    const reference::ReferenceKv* kv_ = nullptr;
    std::vector<Array> arrays_;  // one for each value
};

}  // namespace tenon::ops
