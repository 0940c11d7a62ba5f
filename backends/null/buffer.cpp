#include "backends/common/row_copy.h"

#include "null_backend.h"

namespace tenon::null_backend {

sdk::Status Impl::buffer_alloc(Device&, const tenon_buffer_desc& desc,
                               std::unique_ptr<Buffer>& buffer) {
    auto made = std::make_unique<Buffer>();
    const size_t bytes = desc.bytes == 0 ? 1 : desc.bytes;
    made->memory = sdk::HostMemory(bytes, desc.align);
    if (made->memory.data() == nullptr) {
        return sdk::fail(TENON_OOM_DEVICE, "A buffer of %llu bytes does not fit into memory.",
                         static_cast<unsigned long long>(desc.bytes));
    }
    std::memset(made->memory.data(), 0, bytes);
    buffer = std::move(made);
    return {};
}

namespace {

sdk::Status check_copies(const tenon_copy* copies, uint32_t n) noexcept {
    for (uint32_t i = 0; i < n; ++i) {
        const Buffer* dst = Handles::get(copies[i].dst);
        const Buffer* src = Handles::get(copies[i].src);
        TENON_SDK_CHECK(common::check_copy(i, copies[i], dst == nullptr ? 0 : dst->memory.bytes(),
                                           src == nullptr ? 0 : src->memory.bytes()));
    }
    return {};
}

}  // namespace

sdk::Status run_copies(const tenon_copy* copies, uint32_t n) noexcept {
    for (uint32_t i = 0; i < n; ++i) {
        const tenon_copy& c = copies[i];
        uint8_t* dst =
            c.dst != nullptr ? Handles::get(c.dst)->at(0) : static_cast<uint8_t*>(c.host_dst);
        const uint8_t* src =
            c.src != nullptr ? Handles::get(c.src)->at(0) : static_cast<const uint8_t*>(c.host_src);
        common::copy_rows(c, dst, src);
    }
    return {};
}

sdk::Status Impl::copy(Queue& queue, sdk::Span<const tenon_copy> copies, const tenon_sync& sync) {
    TENON_SDK_CHECK(check_copies(copies.first, copies.count));
    return queue.order(
        sync, [&] { return run_copies(copies.first, copies.count); },
        [&](Work& work) {
            work.kind = Work::Kind::kCopy;
            work.copies.assign(copies.begin(), copies.end());
            return sdk::Status();
        });
}

}  // namespace tenon::null_backend
