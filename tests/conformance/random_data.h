// Seeded numbers, weights and activations. Equal seeds give equal data on every machine.
#pragma once

#include <tenon/abi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon::conformance {

class Random {
public:
    // `stream` separates the cases of one run.
    Random(uint64_t seed, uint64_t stream) : state_(seed ^ (stream * 0x9E3779B97F4A7C15ull)) {}

    // The splitmix64 generator: G. L. Steele et al., OOPSLA 2014.
    uint64_t bits() {
        state_ += 0x9E3779B97F4A7C15ull;
        uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        return z ^ (z >> 31);
    }
    // 0 .. limit - 1.
    int64_t below(int64_t limit) {
        return static_cast<int64_t>(bits() % static_cast<uint64_t>(limit));
    }
    // [0, 1).
    double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
    // Mean 0, variance 1, bell-shaped: a sum of twelve uniform numbers.
    float normal() {
        double sum = -6;
        for (int i = 0; i < 12; ++i)
            sum += uniform();
        return static_cast<float>(sum);
    }
    std::vector<float> normals(int64_t count, float scale = 1.0f) {
        std::vector<float> numbers(static_cast<size_t>(count));
        for (float& x : numbers)
            x = scale * normal();
        return numbers;
    }
    template <class T>
    void shuffle(std::vector<T>& items) {
        for (size_t i = items.size(); i > 1; --i) {
            std::swap(items[i - 1], items[static_cast<size_t>(below(static_cast<int64_t>(i)))]);
        }
    }

private:
    uint64_t state_;
};

// The least multiple of the format's block that holds `cols` columns.
int64_t whole_blocks(const tenon_format& format, int64_t cols);

// rows * cols elements stored as `format`, so that x w^T of normal x has about variance 1. Every
// code and sign occurs. `cols` is a multiple of block_elems.
std::vector<std::byte> random_weight(Random& random, const tenon_format& format, int64_t rows,
                                     int64_t cols);

}  // namespace tenon::conformance
