#include <sys/mman.h>

#include <algorithm>

#include <tenon/reference/dequant.h>

#include "backends/cpu/cpu_backend.h"

namespace tenon::cpu {
namespace {

constexpr uint64_t kLine = 64;
constexpr uint64_t kHugePage = uint64_t{2} << 20;
constexpr int64_t kExtentMax = int64_t{1} << 31;  // rows and columns fit uint32_t with room

uint64_t round_up(uint64_t value, uint64_t unit) noexcept {
    return (value + unit - 1) / unit * unit;
}

// One tensor being packed by the pool.
class Packing final : public Job {
public:
    Packing(const tenon_format& format, const WeightEntry& entry, const uint8_t* stored,
            uint8_t* packed)
        : format_(format),
          entry_(entry),
          stored_(stored),
          packed_(packed),
          groups_(kernels::group_count(entry.rows)),
          unit_groups_(std::max<uint32_t>(
              1,
              static_cast<uint32_t>(kUnitBytes / kernels::group_bytes(entry.layout, entry.cols)))) {
        // A tensor of more units than a phase may have gets larger ones.
        unit_groups_ = std::max(unit_groups_, groups_ / kUnitsMax + 1);
    }
    uint32_t units(uint32_t) noexcept override {
        return (groups_ + unit_groups_ - 1) / unit_groups_;
    }
    void run(uint32_t, uint32_t unit, uint32_t) noexcept override {
        const uint32_t begin = unit * unit_groups_;
        kernels::pack_groups(format_, stored_, entry_.rows, entry_.cols, begin,
                             std::min(begin + unit_groups_, groups_), packed_);
    }
    bool finished(uint32_t) noexcept override { return true; }

private:
    static constexpr uint64_t kUnitBytes = 256 * 1024;
    const tenon_format& format_;
    const WeightEntry& entry_;
    const uint8_t* stored_;
    uint8_t* packed_;
    uint32_t groups_, unit_groups_;
};

sdk::Status check_weight(const Weights& weights, const tenon_weight& weight, uint64_t* row_bytes) {
    const std::string_view name = sdk::view(weight.name);
    const int shown = static_cast<int>(std::min<size_t>(name.size(), 80));
    const tenon_format& format = *weight.format;
    if (weights.finished) {
        return sdk::fail(TENON_INVALID, "Weight %.*s came after weights_finish.", shown,
                         name.data());
    }
    if (weights.entries.size() == weights.n_entries_max) {
        return sdk::fail(TENON_INVALID, "Weight %.*s is one more than the %u announced.", shown,
                         name.data(), weights.n_entries_max);
    }
    if (weight.rows <= 0 || weight.cols <= 0 || weight.rows > kExtentMax ||
        weight.cols > kExtentMax || format.block_elems == 0 ||
        weight.cols % format.block_elems != 0) {
        return sdk::fail(TENON_INVALID, "Weight %.*s is %lld x %lld in blocks of %u elements.",
                         shown, name.data(), static_cast<long long>(weight.rows),
                         static_cast<long long>(weight.cols), format.block_elems);
    }
    const char* problem = reference::format_problem(format);
    if (problem != nullptr || weight.n_planes != 1) {
        return sdk::fail(TENON_UNSUPPORTED, "Weight %.*s: format %.*s in %u planes: %s.", shown,
                         name.data(), static_cast<int>(format.id.n), format.id.p, weight.n_planes,
                         problem != nullptr ? problem : "one plane is supported");
    }
    const int64_t end = weight.shard_end == 0 ? weight.rows : weight.shard_end;
    if (weight.shard_begin < 0 || weight.shard_begin >= end || end > weight.rows) {
        return sdk::fail(TENON_INVALID, "Weight %.*s has rows %lld to %lld of %lld.", shown,
                         name.data(), static_cast<long long>(weight.shard_begin),
                         static_cast<long long>(end), static_cast<long long>(weight.rows));
    }
    *row_bytes = static_cast<uint64_t>(weight.cols / format.block_elems) * format.block_bytes;
    if (weight.plane_bytes[0] < *row_bytes * static_cast<uint64_t>(weight.rows)) {
        return sdk::fail(
            TENON_INVALID, "Weight %.*s has %llu bytes, its %lld rows need %llu.", shown,
            name.data(), static_cast<unsigned long long>(weight.plane_bytes[0]),
            static_cast<long long>(weight.rows),
            static_cast<unsigned long long>(*row_bytes * static_cast<uint64_t>(weight.rows)));
    }
    return {};
}

}  // namespace

WeightArena::~WeightArena() {
    for (const Chunk& chunk : chunks_)
        munmap(chunk.memory, chunk.bytes);
}

uint8_t* WeightArena::take(uint64_t bytes, uint64_t chunk_hint) noexcept {
    bytes = round_up(bytes, kLine);
    if (chunks_.empty() || chunks_.back().bytes - chunks_.back().used < bytes) {
        // Address space only: pages are taken when a weight is written.
        const uint64_t size = round_up(std::max(bytes, chunk_hint), kHugePage);
        void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return nullptr;
        madvise(memory, size, MADV_HUGEPAGE);
        chunks_.push_back({static_cast<uint8_t*>(memory), size, 0});
    }
    Chunk& chunk = chunks_.back();
    uint8_t* place = chunk.memory + chunk.used;
    chunk.used += bytes;
    used_ += bytes;
    return place;
}

sdk::Status Impl::weights_begin(Device& device, uint32_t n_entries, uint64_t bytes,
                                std::unique_ptr<Weights>& weights) {
    weights = std::make_unique<Weights>();
    weights->device = &device;
    weights->n_entries_max = n_entries;
    weights->stored_bytes = bytes;
    return {};
}

sdk::Status Impl::weights_put(Weights& weights, const tenon_weight& weight, uint32_t& entry) {
    uint64_t row_bytes = 0;
    TENON_SDK_CHECK(check_weight(weights, weight, &row_bytes));
    const std::string_view name = sdk::view(weight.name);
    const int shown = static_cast<int>(std::min<size_t>(name.size(), 80));
    const int64_t end = weight.shard_end == 0 ? weight.rows : weight.shard_end;
    // Without bytes the arena hands out address space that nobody writes: it costs no memory.
    const bool measured = weight.planes[0] == nullptr;
    weights.measured |= measured;
    const uint8_t* stored = measured ? nullptr
                                     : static_cast<const uint8_t*>(weight.planes[0]) +
                                           static_cast<uint64_t>(weight.shard_begin) * row_bytes;
    WeightEntry made;
    made.rows = static_cast<uint32_t>(end - weight.shard_begin);
    made.cols = static_cast<uint32_t>(weight.cols);
    made.uses = weight.uses;
    // One eighth and 16 MiB of spare address space: padding of rows and lines.
    const uint64_t hint = weights.stored_bytes + weights.stored_bytes / 8 + (uint64_t{16} << 20);
    const sdk::Status full =
        sdk::fail(TENON_OOM_DEVICE, "Weight %.*s does not fit into memory.", shown, name.data());
    if ((weight.uses & (TENON_USE_MATMUL | TENON_USE_ROWS)) != 0) {
        made.layout = kernels::choose_layout(*weight.format);
        const uint32_t groups = kernels::group_count(made.rows);
        uint8_t* packed =
            weights.arena.take(kernels::group_bytes(made.layout, made.cols) * groups, hint);
        if (packed == nullptr) return full;
        if (!measured) {
            Packing packing(*weight.format, made, stored, packed);
            weights.device->run_aside(packing);
        }
        made.packed = packed;
    }
    if ((weight.uses & TENON_USE_ELEMENTWISE) != 0) {
        auto* plain = reinterpret_cast<float*>(
            weights.arena.take(uint64_t{made.rows} * made.cols * sizeof(float), hint));
        if (plain == nullptr) return full;
        for (uint32_t row = 0; row < made.rows && !measured; ++row)
            reference::dequant_row(*weight.format, stored + row * row_bytes, weight.cols,
                                   plain + uint64_t{row} * made.cols);
        made.plain = plain;
    }
    entry = static_cast<uint32_t>(weights.entries.size());
    weights.entries.push_back(made);
    return {};
}

sdk::Status Impl::weights_finish(Weights& weights, tenon_weights_info& info) {
    weights.finished = true;
    info.device_bytes = weights.arena.bytes_used();
    info.host_bytes = weights.arena.bytes_used();
    info.entries = static_cast<uint32_t>(weights.entries.size());
    info.flags = 0;
    return {};
}

sdk::Status Impl::weights_save(Weights&, void*, uint64_t&) {
    return sdk::fail(
        TENON_UNSUPPORTED,
        "The cpu backend saves no packed weights: packing runs at the speed of memory.");
}

sdk::Status Impl::weights_restore(Weights&, const void*, uint64_t) {
    return sdk::fail(TENON_UNSUPPORTED, "The cpu backend restores no packed weights.");
}

}  // namespace tenon::cpu
