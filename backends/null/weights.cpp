#include "null_backend.h"

namespace tenon::null_backend {

sdk::Status Impl::weights_begin(Device&, uint32_t n_entries, uint64_t,
                                std::unique_ptr<Weights>& weights) {
    weights = std::make_unique<Weights>();
    weights->n_entries_max = n_entries;
    return {};
}

sdk::Status Impl::weights_put(Weights& weights, const tenon_weight& weight, uint32_t& entry) {
    const std::string_view name = sdk::view(weight.name);
    const int shown = static_cast<int>(name.size() < 80 ? name.size() : 80);
    if (weights.finished) {
        return sdk::fail(TENON_INVALID, "Weight %.*s came after weights_finish.", shown,
                         name.data());
    }
    if (weights.n_entries == weights.n_entries_max) {
        return sdk::fail(TENON_INVALID, "Weight %.*s is one more than the %u announced.", shown,
                         name.data(), weights.n_entries_max);
    }
    const uint32_t block = weight.format->block_elems;
    if (weight.rows <= 0 || weight.cols <= 0 || block == 0 || weight.cols % block != 0) {
        return sdk::fail(TENON_INVALID, "Weight %.*s is %lld x %lld in blocks of %u elements.",
                         shown, name.data(), static_cast<long long>(weight.rows),
                         static_cast<long long>(weight.cols), block);
    }
    weights.measured |= weight.planes[0] == nullptr;
    entry = weights.n_entries++;
    return {};
}

sdk::Status Impl::weights_finish(Weights& weights, tenon_weights_info& info) {
    weights.finished = true;
    info.device_bytes = 0;
    info.host_bytes = 0;
    info.entries = weights.n_entries;
    info.flags = 0;
    return {};
}

sdk::Status Impl::weights_save(Weights&, void*, uint64_t&) {
    return sdk::fail(TENON_UNSUPPORTED, "The null backend packs no weights, so it saves none.");
}

sdk::Status Impl::weights_restore(Weights&, const void*, uint64_t) {
    return sdk::fail(TENON_UNSUPPORTED, "The null backend packs no weights, so it restores none.");
}

}  // namespace tenon::null_backend
