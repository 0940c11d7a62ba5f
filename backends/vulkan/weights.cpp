#include <algorithm>
#include <cstring>
#include <functional>
#include <system_error>
#include <thread>

#include <tenon/reference/dequant.h>

#include "backends/vulkan/result.h"
#include "backends/vulkan/vulkan_backend.h"

namespace tenon::vulkan {
namespace {

constexpr int64_t kExtentMax = int64_t{1} << 31;  // rows and columns fit uint32_t with room
constexpr uint32_t kThreadsMax = 8;
constexpr uint64_t kUnitBytes = 256 * 1024;           // packed bytes that a thread takes at once
constexpr uint64_t kStageBytes = uint64_t{16} << 20;  // of each of the two staging buffers
constexpr uint32_t kSliceRows = 64;  // slices begin at multiples of it, where they can

uint64_t round_up(uint64_t value, uint64_t unit) noexcept {
    return (value + unit - 1) / unit * unit;
}

struct Shown {
    int n;
    const char* p;
};
Shown shown(const tenon_weight& weight) noexcept {
    const std::string_view name = sdk::view(weight.name);
    return {static_cast<int>(std::min<size_t>(name.size(), 80)), name.data()};
}

sdk::Status check_weight(const Weights& weights, const tenon_weight& weight) {
    const Shown name = shown(weight);
    const tenon_format& format = *weight.format;
    if (weights.finished)
        return sdk::fail(TENON_INVALID, "Weight %.*s came after weights_finish.", name.n, name.p);
    if (weights.entries.size() == weights.n_entries_max) {
        return sdk::fail(TENON_INVALID, "Weight %.*s is one more than the %u announced.", name.n,
                         name.p, weights.n_entries_max);
    }
    if (weight.rows <= 0 || weight.cols <= 0 || weight.rows > kExtentMax ||
        weight.cols > kExtentMax || format.block_elems == 0 ||
        weight.cols % format.block_elems != 0) {
        return sdk::fail(TENON_INVALID, "Weight %.*s is %lld x %lld in blocks of %u elements.",
                         name.n, name.p, static_cast<long long>(weight.rows),
                         static_cast<long long>(weight.cols), format.block_elems);
    }
    const char* problem = reference::format_problem(format);
    if (problem != nullptr || weight.n_planes != 1) {
        return sdk::fail(TENON_UNSUPPORTED, "Weight %.*s: format %.*s in %u planes: %s.", name.n,
                         name.p, static_cast<int>(format.id.n), format.id.p, weight.n_planes,
                         problem != nullptr ? problem : "one plane is supported");
    }
    const int64_t end = weight.shard_end == 0 ? weight.rows : weight.shard_end;
    if (weight.shard_begin < 0 || weight.shard_begin >= end || end > weight.rows) {
        return sdk::fail(TENON_INVALID, "Weight %.*s has rows %lld to %lld of %lld.", name.n,
                         name.p, static_cast<long long>(weight.shard_begin),
                         static_cast<long long>(end), static_cast<long long>(weight.rows));
    }
    const uint64_t needed = stored_row_bytes(format, static_cast<uint32_t>(weight.cols)) *
                            static_cast<uint64_t>(weight.rows);
    if (weight.plane_bytes[0] < needed) {
        return sdk::fail(TENON_INVALID, "Weight %.*s has %llu bytes, its %lld rows need %llu.",
                         name.n, name.p, static_cast<unsigned long long>(weight.plane_bytes[0]),
                         static_cast<long long>(weight.rows),
                         static_cast<unsigned long long>(needed));
    }
    return {};
}

// Rows of one region of memory: up to three planes, each `row_bytes` a row, and what fills them.
struct Rows {
    uint64_t row_bytes[kPlanes] = {};
    // Writes rows [first, first + rows) to planes that begin with row `first`; any thread. False when
    // host memory is out.
    std::function<bool(uint32_t first, uint32_t rows, const PackedPlanes& planes)> fill;
    uint64_t total() const noexcept { return row_bytes[0] + row_bytes[1] + row_bytes[2]; }
};

}  // namespace

// Fills memory of the device: in place where the host sees it, else through two staging buffers, one
// being packed while the other is on its way. Rows are filled by several threads.
class Uploader {
public:
    explicit Uploader(Device& device) : device_(device) {}
    ~Uploader() {
        (void)finish();
        for (Stage& stage : stages_)
            if (stage.pool != VK_NULL_HANDLE)
                vkDestroyCommandPool(device_.handle, stage.pool, nullptr);
    }
    Uploader(const Uploader&) = delete;
    Uploader& operator=(const Uploader&) = delete;

    // Rows [first, first + rows) of `what` into `memory`, plane p from byte at[p] of its buffer on. When
    // this returns the rows' source is not read any more, but they may still be on their way.
    sdk::Status upload(const Rows& what, uint32_t first, uint32_t rows, const Memory& memory,
                       const uint64_t* at) {
        if (memory.mapped() != nullptr) {
            uint8_t* planes[kPlanes];
            for (uint32_t p = 0; p < kPlanes; ++p)
                planes[p] = memory.mapped() + (at[p] - memory.offset());
            return fill(what, first, rows, planes);
        }
        const uint64_t room = kStageBytes - kPlanes * kMemoryAlign;
        const auto step = static_cast<uint32_t>(std::clamp<uint64_t>(room / what.total(), 1, rows));
        for (uint32_t row = 0; row < rows; row += step)
            TENON_SDK_CHECK(send(what, first + row, row, std::min(step, rows - row), memory, at));
        return {};
    }

    // Waits until everything has arrived.
    sdk::Status finish() noexcept {
        sdk::Status status;
        for (Stage& stage : stages_) {
            if (stage.value == 0) continue;
            const sdk::Status waited = device_.wait(stage.value);
            stage.value = 0;
            if (status.ok()) status = waited;
        }
        return status;
    }

private:
    struct Stage {
        Memory memory;
        VkCommandPool pool = VK_NULL_HANDLE;
        VkCommandBuffer commands = VK_NULL_HANDLE;
        uint64_t value = 0;  // that it is on its way with; 0: not
    };

    sdk::Status make(Stage& stage, uint64_t bytes) {
        if (stage.memory.bytes() < bytes)
            TENON_SDK_CHECK(device_.arena.take(Purpose::kStaging, bytes,
                                               "A staging buffer of weights", stage.memory));
        if (stage.commands != VK_NULL_HANDLE) return {};
        VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
        info.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
        info.queueFamilyIndex = device_.features.queue_family;
        if (stage.pool == VK_NULL_HANDLE)
            TENON_VK_CHECK(vkCreateCommandPool, device_.handle, &info, nullptr, &stage.pool);
        VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
        allocate.commandPool = stage.pool;
        allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
        allocate.commandBufferCount = 1;
        TENON_VK_CHECK(vkAllocateCommandBuffers, device_.handle, &allocate, &stage.commands);
        return {};
    }

    // Rows [first, first + rows), which are those behind `skipped` rows in the memory.
    sdk::Status send(const Rows& what, uint32_t first, uint32_t skipped, uint32_t rows,
                     const Memory& memory, const uint64_t* at) {
        Stage& stage = stages_[next_];
        next_ ^= 1;
        if (stage.value != 0) {
            const uint64_t value = stage.value;
            stage.value = 0;
            TENON_SDK_CHECK(device_.wait(value));
        }
        uint64_t begin[kPlanes];
        uint64_t bytes = 0;
        for (uint32_t p = 0; p < kPlanes; ++p) {
            begin[p] = bytes;
            bytes += round_up(what.row_bytes[p] * rows, kMemoryAlign);
        }
        TENON_SDK_CHECK(make(stage, std::max(bytes, kStageBytes)));
        uint8_t* planes[kPlanes];
        for (uint32_t p = 0; p < kPlanes; ++p)
            planes[p] = stage.memory.mapped() + begin[p];
        TENON_SDK_CHECK(fill(what, first, rows, planes));

        TENON_VK_CHECK(vkResetCommandPool, device_.handle, stage.pool, 0);
        VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
        info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
        TENON_VK_CHECK(vkBeginCommandBuffer, stage.commands, &info);
        for (uint32_t p = 0; p < kPlanes; ++p) {
            if (what.row_bytes[p] == 0) continue;
            const VkBufferCopy region{stage.memory.offset() + begin[p],
                                      at[p] + what.row_bytes[p] * skipped,
                                      what.row_bytes[p] * rows};
            vkCmdCopyBuffer(stage.commands, stage.memory.buffer(), memory.buffer(), 1, &region);
        }
        TENON_VK_CHECK(vkEndCommandBuffer, stage.commands);
        return device_.submit(&stage.commands, 1, &stage.value);
    }

    // Fills rows by several threads, this one among them.
    static sdk::Status fill(const Rows& what, uint32_t first, uint32_t rows,
                            uint8_t* const* planes) {
        const auto unit =
            static_cast<uint32_t>(std::clamp<uint64_t>(kUnitBytes / what.total(), 1, rows));
        std::atomic<uint32_t> next{0};
        std::atomic<bool> good{true};
        const auto run = [&] {
            for (;;) {
                const uint32_t begin = next.fetch_add(unit);
                if (begin >= rows) return;
                PackedPlanes to;
                to.lo = planes[0] + what.row_bytes[0] * begin;
                to.hi = what.row_bytes[1] == 0 ? nullptr : planes[1] + what.row_bytes[1] * begin;
                to.scale = what.row_bytes[2] == 0 ? nullptr : planes[2] + what.row_bytes[2] * begin;
                if (!what.fill(first + begin, std::min(unit, rows - begin), to)) good.store(false);
            }
        };
        const uint32_t threads =
            std::min({kThreadsMax, std::thread::hardware_concurrency(), (rows + unit - 1) / unit});
        std::vector<std::thread> helpers;
        helpers.reserve(threads);
        try {
            for (uint32_t i = 1; i < threads; ++i)
                helpers.emplace_back(run);
        } catch (const std::system_error&) {
            // Fewer threads than wanted take longer.
        }
        run();
        for (std::thread& helper : helpers)
            helper.join();
        return good.load() ? sdk::Status()
                           : sdk::fail(TENON_OOM_HOST, "Host memory to pack a weight is out.");
    }

    Device& device_;
    Stage stages_[2];
    uint32_t next_ = 0;
};

Weights::Weights() = default;
Weights::~Weights() = default;

sdk::Status Impl::weights_begin(Device& device, uint32_t n_entries, uint64_t bytes,
                                std::unique_ptr<Weights>& weights) {
    weights = std::make_unique<Weights>();
    weights->device = &device;
    weights->n_entries_max = n_entries;
    weights->stored_bytes = bytes;
    return {};
}

namespace {

// Cuts the rows into slices whose planes may each be bound; sets all but their memory.
sdk::Status cut(const tenon_weight& weight, const Rows& rows, uint32_t n_rows,
                const Features& features, std::vector<WeightSlice>& slices) {
    const uint64_t widest = std::max({rows.row_bytes[0], rows.row_bytes[1], rows.row_bytes[2]});
    const uint64_t spare = (kPlanes + 1) * kMemoryAlign;
    uint64_t most =
        std::min(features.storage_range / widest, (features.allocation_max - spare) / rows.total());
    if (most == 0) {
        const Shown name = shown(weight);
        return sdk::fail(TENON_UNSUPPORTED,
                         "A row of weight %.*s has %llu bytes, the device binds at most %llu.",
                         name.n, name.p, static_cast<unsigned long long>(widest),
                         static_cast<unsigned long long>(features.storage_range));
    }
    if (most > kSliceRows) most = most / kSliceRows * kSliceRows;
    for (uint64_t first = 0; first < n_rows; first += most) {
        WeightSlice slice;
        slice.first_row = static_cast<uint32_t>(first);
        slice.rows = static_cast<uint32_t>(std::min<uint64_t>(most, n_rows - first));
        for (uint32_t p = 0; p < kPlanes; ++p)
            slice.plane_bytes[p] = rows.row_bytes[p] * slice.rows;
        slices.push_back(std::move(slice));
    }
    return {};
}

uint64_t slice_bytes(const WeightSlice& slice) noexcept {
    uint64_t bytes = 0;
    for (const uint64_t plane : slice.plane_bytes)
        bytes += round_up(plane, kMemoryAlign);
    return bytes;
}

sdk::Status keep_slice(Weights& weights, const tenon_weight& weight, const Rows& rows,
                       WeightSlice& slice) {
    char what[112];
    const Shown name = shown(weight);
    std::snprintf(what, sizeof what, "Weight %.*s", name.n, name.p);
    TENON_SDK_CHECK(weights.device->arena.take(Purpose::kWeights, slice_bytes(slice), what,
                                               slice.memory, kMemoryAlign, weights.stored_bytes));
    uint64_t at = slice.memory.offset();
    for (uint32_t p = 0; p < kPlanes; ++p) {
        slice.plane_at[p] = at;
        at += round_up(slice.plane_bytes[p], kMemoryAlign);
    }
    if (weights.uploader == nullptr) weights.uploader = std::make_unique<Uploader>(*weights.device);
    return weights.uploader->upload(rows, slice.first_row, slice.rows, slice.memory,
                                    slice.plane_at);
}

sdk::Status put(Weights& weights, const tenon_weight& weight, WeightEntry& made) {
    const tenon_format& format = *weight.format;
    const Features& features = weights.device->features;
    const int64_t end = weight.shard_end == 0 ? weight.rows : weight.shard_end;
    const bool measured = weight.planes[0] == nullptr;
    made.rows = static_cast<uint32_t>(end - weight.shard_begin);
    made.cols = static_cast<uint32_t>(weight.cols);
    made.uses = weight.uses;
    const uint64_t stored_row = stored_row_bytes(format, made.cols);
    const uint8_t* stored = measured ? nullptr
                                     : static_cast<const uint8_t*>(weight.planes[0]) +
                                           static_cast<uint64_t>(weight.shard_begin) * stored_row;
    uint64_t held = 0;
    if ((weight.uses & (TENON_USE_MATMUL | TENON_USE_ROWS)) != 0) {
        Packer packer;
        if (!packer.init(format, made.cols))
            return sdk::fail(TENON_OOM_HOST, "The tables of a weight's format do not fit memory.");
        made.layout = packer.layout();
        const PlaneBytes planes = row_bytes(made.layout, made.cols);
        Rows rows{{planes.lo, planes.hi, planes.scale},
                  [&](uint32_t first, uint32_t n, const PackedPlanes& to) {
                      return packer.pack(stored + first * stored_row, n, to);
                  }};
        TENON_SDK_CHECK(cut(weight, rows, made.rows, features, made.slices));
        for (WeightSlice& slice : made.slices) {
            held += slice_bytes(slice);
            if (!measured) TENON_SDK_CHECK(keep_slice(weights, weight, rows, slice));
        }
    }
    if ((weight.uses & TENON_USE_ELEMENTWISE) != 0) {
        const uint64_t row = uint64_t{made.cols} * sizeof(float);
        Rows rows{{row, 0, 0}, [&](uint32_t first, uint32_t n, const PackedPlanes& to) {
                      for (uint32_t r = 0; r < n; ++r)
                          reference::dequant_row(format, stored + (first + r) * stored_row,
                                                 weight.cols,
                                                 reinterpret_cast<float*>(to.lo + r * row));
                      return true;
                  }};
        std::vector<WeightSlice> slices;
        TENON_SDK_CHECK(cut(weight, rows, made.rows, features, slices));
        if (slices.size() != 1) {
            const Shown name = shown(weight);
            return sdk::fail(
                TENON_UNSUPPORTED,
                "Weight %.*s is read whole and has %llu bytes, the device binds at most "
                "%llu.",
                name.n, name.p, static_cast<unsigned long long>(row * made.rows),
                static_cast<unsigned long long>(features.storage_range));
        }
        held += slice_bytes(slices[0]);
        if (!measured) TENON_SDK_CHECK(keep_slice(weights, weight, rows, slices[0]));
        made.plain = std::move(slices[0].memory);
    }
    weights.measured |= measured;
    weights.device_bytes += held;
    return {};
}

}  // namespace

sdk::Status Impl::weights_put(Weights& weights, const tenon_weight& weight, uint32_t& entry) {
    TENON_SDK_CHECK(check_weight(weights, weight));
    WeightEntry made;
    const sdk::Status status = put(weights, weight, made);
    if (!status.ok()) {
        // What is on its way to an entry that is not to be must arrive before its memory goes.
        if (weights.uploader != nullptr) (void)weights.uploader->finish();
        return status;
    }
    entry = static_cast<uint32_t>(weights.entries.size());
    weights.entries.push_back(std::move(made));
    return {};
}
sdk::Status Impl::weights_finish(Weights& weights, tenon_weights_info& info) {
    if (weights.uploader != nullptr) TENON_SDK_CHECK(weights.uploader->finish());
    weights.uploader.reset();
    weights.finished = true;
    info.device_bytes = weights.device_bytes;
    // What a processor calls its device's memory is the host's.
    info.host_bytes = weights.device->features.kind == TENON_DEVICE_CPU ? weights.device_bytes : 0;
    info.entries = static_cast<uint32_t>(weights.entries.size());
    info.flags = 0;
    return {};
}

sdk::Status Impl::weights_save(Weights&, void*, uint64_t&) {
    return sdk::fail(
        TENON_UNSUPPORTED,
        "The vulkan backend saves no packed weights: packing runs while the file is read.");
}

sdk::Status Impl::weights_restore(Weights&, const void*, uint64_t) {
    return sdk::fail(TENON_UNSUPPORTED, "The vulkan backend restores no packed weights.");
}

}  // namespace tenon::vulkan
