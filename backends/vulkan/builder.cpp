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

uint32_t Builder::extent_word(const tenon_dim& dim) {
    auto& dispatches = exec_.dispatches[bucket_];
    for (uint32_t i = 0; i < dispatches.size(); ++i) {
        const tenon_dim& rows = dispatches[i].rows;
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

} // namespace tenon::vulkan
