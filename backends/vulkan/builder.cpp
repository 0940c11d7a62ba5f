#include "backends/vulkan/builder.h"

#include <algorithm>

#include "shaders/include/step.h"

namespace tenon::vulkan {

int64_t Builder::rows_max(uint32_t id) const noexcept {
    return sdk::extent(exec_.values[id].dims[0],
                       exec_.bucket_symbols.data() + size_t{bucket_} * exec_.n_symbols);
}

sdk::Status Builder::find(const char* family, const char* purpose,
                          const shaders::ShaderVariant** variant) const {
    *variant = exec_.device->kernels.find(family, purpose);
    if (*variant != nullptr) return {};
    return sdk::fail(TENON_UNSUPPORTED, "This device runs no shader of family %s for %s.", family,
                     purpose);
}

Place Builder::place(uint32_t id) const noexcept {
    const Value& v = exec_.values[id];
    Place place;
    place.bytes = v.bytes_max();
    switch (v.kind) {
        case TENON_VALUE_TEMP:
            place.kind = Place::Kind::kScratch;
            place.offset = v.at;
            // What is planned for nothing still binds something.
            place.bytes = std::max<uint64_t>(place.bytes, kPlaceAlign);
            return place;
        case TENON_VALUE_WEIGHT: return plain_weight(id);
        default:
            place.kind = Place::Kind::kSlot;
            place.slot = v.slot;
            return place;
    }
}

Place Builder::memory(const Memory& memory, uint64_t bytes) const noexcept {
    Place place;
    place.kind = Place::Kind::kMemory;
    place.buffer = memory.buffer();
    place.offset = memory.offset();
    place.bytes = bytes;
    return place;
}

Place Builder::plain_weight(uint32_t id) const noexcept {
    const WeightEntry& entry = exec_.weights->entries[exec_.values[id].weight];
    return memory(entry.plain, uint64_t{entry.rows} * entry.cols * sizeof(float));
}

void Builder::read(Draft& draft, uint32_t binding, uint32_t id) const {
    if (id != TENON_NONE) draft.bind(binding, place(id), false);
}

void Builder::write(Draft& draft, uint32_t binding, uint32_t id) const {
    if (id != TENON_NONE) draft.bind(binding, place(id), true);
}

Place Builder::place_rows(uint32_t id, const Window& window) const noexcept {
    Place whole = place(id);
    const Value& value = exec_.values[id];
    const uint64_t row = value.cols * sdk::dtype_bytes(value.dtype);
    const auto rows = static_cast<uint64_t>(std::min(window.count, value.rows_max - window.first));
    if (window.first == 0 && window.count >= value.rows_max) return whole;
    whole.offset += static_cast<uint64_t>(window.first) * row;
    whole.bytes = rows * row;
    return whole;
}

void Builder::read_rows(Draft& draft, uint32_t binding, uint32_t id, const Window& window) const {
    if (id != TENON_NONE) draft.bind(binding, place_rows(id, window), false);
}

void Builder::write_rows(Draft& draft, uint32_t binding, uint32_t id, const Window& window) const {
    if (id != TENON_NONE) draft.bind(binding, place_rows(id, window), true);
}

sdk::Status Builder::cut_rows(std::initializer_list<uint32_t> ids,
                              std::vector<Window>* windows) const {
    uint64_t most = UINT64_MAX;  // rows of a window
    uint64_t unit = 1;           // that it is a multiple of
    int64_t rows = 0;
    uint64_t widest = 0;
    for (uint32_t id : ids) {
        if (id == TENON_NONE) continue;
        const Value& value = exec_.values[id];
        const uint64_t row = value.cols * sdk::dtype_bytes(value.dtype);
        rows = std::max(rows, value.rows_max);
        widest = std::max(widest, row);
        most = std::min(most, features().storage_range / std::max<uint64_t>(row, 1));
        while (unit < kPlaceAlign && row * unit % kPlaceAlign != 0)
            unit *= 2;
    }
    windows->clear();
    if (static_cast<uint64_t>(rows) <= most) {
        windows->push_back({});
        return {};
    }
    most -= most % unit;
    if (most == 0)
        return sdk::fail(
            TENON_UNSUPPORTED,
            "Rows of %llu bytes are bound %llu at a time, this device binds at most %llu "
            "bytes.",
            static_cast<unsigned long long>(widest), static_cast<unsigned long long>(unit),
            static_cast<unsigned long long>(features().storage_range));
    const int64_t here = rows_max(*ids.begin());
    for (int64_t first = 0; first == 0 || first < here; first += static_cast<int64_t>(most))
        windows->push_back({first, static_cast<int64_t>(most)});
    return {};
}

uint32_t Builder::extent_word(const tenon_dim& dim) {
    auto& dispatches = exec_.dispatches[bucket_];
    for (uint32_t i = 0; i < dispatches.size(); ++i) {
        const tenon_dim& rows = dispatches[i].rows;
        if (dispatches[i].rows_most != INT64_MAX) continue;
        if (rows.symbol == dim.symbol && rows.mul == dim.mul && rows.add == dim.add)
            return i * STEP_DISPATCH_WORDS + 3;
    }
    Dispatch silent;
    silent.node = node_;
    silent.rows = dim;
    dispatches.push_back(silent);
    return static_cast<uint32_t>(dispatches.size() - 1) * STEP_DISPATCH_WORDS + 3;
}

sdk::Status Builder::finish(Draft&& draft) {
    Dispatch& d = draft.dispatch_;
    d.node = node_;
    uint32_t mask = 1u << STEP_BINDING;
    for (const Binding& binding : d.bindings) {
        mask |= 1u << binding.index;
        if (binding.place.bytes > features().storage_range)
            return sdk::fail(TENON_UNSUPPORTED,
                             "%llu bytes are bound at once, this device binds at most %llu.",
                             static_cast<unsigned long long>(binding.place.bytes),
                             static_cast<unsigned long long>(features().storage_range));
    }
    const int64_t* symbols = exec_.bucket_symbols.data() + size_t{bucket_} * exec_.n_symbols;
    for (uint32_t axis = 0; axis < 3; ++axis) {
        const uint64_t groups = groups_of(d.groups[axis], symbols);
        if (groups > features().group_count[axis])
            return sdk::fail(TENON_UNSUPPORTED,
                             "%llu workgroups are needed at once, this device runs at most %u.",
                             static_cast<unsigned long long>(groups), features().group_count[axis]);
    }
    // Bindings that the op leaves out get memory that nobody writes.
    mask |= draft.variant_->binding_mask;
    if (!exec_.measured)
        TENON_SDK_CHECK(exec_.device->pipelines.get(*draft.variant_, std::move(draft.constants_),
                                                    d.push_bytes, mask, &d.pipeline));
    exec_.dispatches[bucket_].push_back(std::move(d));
    return {};
}

}  // namespace tenon::vulkan
