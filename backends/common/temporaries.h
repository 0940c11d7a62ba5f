// Where a program's temporaries lie: memory that several use one after the other.
#pragma once

#include <cstdint>
#include <vector>

namespace tenon::common {

inline uint64_t round_up(uint64_t value, uint64_t unit) noexcept {
    return (value + unit - 1) / unit * unit;
}

// Memory in use from one time to another, both included; times are the backend's own count.
struct Temporary {
    uint64_t bytes;  // a multiple of the alignment that the offset is to have
    uint32_t first, last;
    uint64_t* at;  // where its offset is written
};

// Gives each a place free of every one in use at the same time; returns the bytes of all together.
// Largest first, each at its lowest free place, so the result depends on sizes and times alone.
uint64_t place_temporaries(std::vector<Temporary>& temporaries);

}  // namespace tenon::common
