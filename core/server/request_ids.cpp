// Numbers and names of requests.
#include "core/server/request_ids.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <random>

namespace tenon::server {

engine::GenerationId next_generation_id() noexcept {
    static std::atomic<engine::GenerationId> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

uint64_t random_bits() noexcept {
    // SplitMix64 from a state that the system chose: its own numbers cost 50 us each on some machines.
    thread_local uint64_t state = [] {
        std::random_device device;
        return static_cast<uint64_t>(device()) << 32 | device();
    }();
    uint64_t x = state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

std::string make_id(std::string_view prefix) {
    return fmt::format("{}{:016x}{:08x}", prefix, random_bits(),
                       static_cast<uint32_t>(random_bits()));
}

int64_t unix_time() noexcept {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace tenon::server
