#include <algorithm>

#include "backends/vulkan/exec.h"

namespace tenon::vulkan {
namespace {

uint64_t round_up(uint64_t value, uint64_t unit) noexcept { return (value + unit - 1) / unit * unit; }

bool overlap(const Value& a, const Value& b) noexcept {
    return a.first_node <= b.last_node && b.first_node <= a.last_node;
}

} // namespace

// Largest first, each at the lowest place free of every value alive at the same time.
void plan_memory(Exec& exec) {
    const auto size_of = [](const Value& v) {
        return round_up(std::max<uint64_t>(v.bytes_max(), 1), kPlaceAlign);
    };
    std::vector<Value*> temps;
    for (Value& v : exec.values)
        if (v.kind == TENON_VALUE_TEMP && v.used()) temps.push_back(&v);
    std::stable_sort(temps.begin(), temps.end(), [&](const Value* a, const Value* b) {
        return size_of(*a) > size_of(*b);
    });
    uint64_t total = 0;
    std::vector<const Value*> neighbours;
    for (size_t i = 0; i < temps.size(); ++i) {
        neighbours.clear();
        for (size_t j = 0; j < i; ++j)
            if (overlap(*temps[i], *temps[j])) neighbours.push_back(temps[j]);
        std::sort(neighbours.begin(), neighbours.end(),
                  [](const Value* a, const Value* b) { return a->at < b->at; });
        uint64_t at = 0;
        for (const Value* other : neighbours) {
            if (at + size_of(*temps[i]) <= other->at) break;
            at = std::max(at, other->at + size_of(*other));
        }
        temps[i]->at = at;
        total = std::max(total, at + size_of(*temps[i]));
    }
    exec.temp_bytes = total;
}

} // namespace tenon::vulkan
