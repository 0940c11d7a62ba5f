// Bytes -> the life of an engine over core/kv. Oracle: a naive model of the cache, which the life
// keeps beside the tree.
#include "tests/core/kv/radix_life.h"

#include <cstdio>
#include <cstdlib>

namespace {

[[noreturn]] void report(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 3 || size > 64 * 1024) return 0;
    using namespace tenon::kv;
    const LifeOptions options{8 + data[0] % 64u, 1 + data[1] % 5u,
                              data[2] % 2 == 0 ? Eviction::kLru : Eviction::kSlru};
    size_t at = 3;
    RadixLife life(options, [&]() -> uint32_t { return at < size ? data[at++] : 0; });
    while (at < size) {
        if (const std::string& error = life.step(); !error.empty()) report(error);
    }
    if (const std::string& error = life.end(); !error.empty()) report(error);
    return 0;
}
