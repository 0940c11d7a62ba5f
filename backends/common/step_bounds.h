// What a step may bring to a prepared program: how many buffers and symbols, how large a symbol may be in
// each bucket, and which values lie in the buffers.
#pragma once

#include <cstdint>
#include <vector>

#include <tenon/plugin.hpp>

namespace tenon::common {

namespace sdk = tenon::sdk;

constexpr uint32_t kSlotsMax = 64;    // bound buffers of a step
constexpr uint32_t kSymbolsMax = 16;  // symbols of a step
constexpr int64_t kSymbolMax = int64_t{1} << 30;

// A value that lies in a bound buffer.
struct BoundValue {
    uint32_t slot = 0;
    uint32_t element_bytes = 0;  // not 0
    uint32_t rank = 0;
    tenon_dim dims[TENON_MAX_RANK] = {};
    bool optional = false;  // may be bound to null
};

struct StepBounds {
    bool measured = false;  // prepared for exec_info alone: nothing runs
    uint32_t n_slots = 0;
    uint32_t n_symbols = 0;
    uint32_t n_buckets = 0;
    std::vector<int64_t> bucket_symbols;  // n_buckets rows of n_symbols upper bounds
    std::vector<BoundValue> bound;

    const int64_t* symbols_max(uint32_t bucket) const noexcept {
        return bucket_symbols.data() + size_t{bucket} * n_symbols;
    }
};

// Everything but `bound`, which is the backend's to fill.
sdk::Status read_step_bounds(const tenon_program& program, const tenon_prepare& how,
                             StepBounds& bounds);

BoundValue bound_value(const tenon_value& value) noexcept;

// Bytes of a bound value with these symbols; false when they wrap or an extent is negative.
bool value_bytes(const BoundValue& value, const int64_t* symbols, uint64_t* bytes) noexcept;

}  // namespace tenon::common
