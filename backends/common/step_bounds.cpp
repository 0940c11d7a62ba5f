#include "backends/common/step_bounds.h"

namespace tenon::common {

sdk::Status read_step_bounds(const tenon_program& program, const tenon_prepare& how,
                             StepBounds& bounds) {
    if (program.n_slots > kSlotsMax || program.n_symbols > kSymbolsMax) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "The program has %u slots and %u symbols, this backend takes %u and %u.",
                         program.n_slots, program.n_symbols, kSlotsMax, kSymbolsMax);
    }
    bounds.measured = (how.flags & TENON_PREPARE_MEASURE) != 0;
    bounds.n_slots = program.n_slots;
    bounds.n_symbols = program.n_symbols;
    bounds.n_buckets = how.n_buckets;
    for (uint32_t b = 0; b < how.n_buckets; ++b) {
        if (program.n_symbols != 0 && how.buckets[b].max == nullptr)
            return sdk::fail(TENON_INVALID, "Bucket %u has no bounds.", b);
        for (uint32_t s = 0; s < program.n_symbols; ++s) {
            const int64_t max = how.buckets[b].max[s];
            if (max < 0 || max > sdk::symbol_at(program, s).max || max > kSymbolMax) {
                return sdk::fail(TENON_INVALID,
                                 "Bucket %u lets symbol %u grow to %lld, legal is %lld.", b, s,
                                 static_cast<long long>(max),
                                 static_cast<long long>(sdk::symbol_at(program, s).max));
            }
            bounds.bucket_symbols.push_back(max);
        }
    }
    return {};
}

BoundValue bound_value(const tenon_value& value) noexcept {
    BoundValue bound;
    bound.slot = value.slot;
    bound.element_bytes = sdk::dtype_bytes(value.dtype);
    bound.rank = value.rank;
    for (uint32_t d = 0; d < value.rank; ++d)
        bound.dims[d] = value.dims[d];
    return bound;
}

bool value_bytes(const BoundValue& value, const int64_t* symbols, uint64_t* bytes) noexcept {
    *bytes = value.element_bytes;
    for (uint32_t d = 0; d < value.rank; ++d) {
        const int64_t extent = sdk::extent(value.dims[d], symbols);
        if (extent < 0 || __builtin_mul_overflow(*bytes, static_cast<uint64_t>(extent), bytes))
            return false;
    }
    return true;
}

}  // namespace tenon::common
