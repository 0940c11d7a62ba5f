#include "null_backend.h"

namespace tenon::null_backend {

sdk::Status Impl::buffer_alloc(Device&, const tenon_buffer_desc& desc,
                               std::unique_ptr<Buffer>& buffer) {
    auto made = std::make_unique<Buffer>();
    TENON_SDK_CHECK(made->alloc(desc));
    buffer = std::move(made);
    return {};
}

sdk::Status Impl::copy(Queue& queue, sdk::Span<const tenon_copy> copies, const tenon_sync& sync) {
    TENON_SDK_CHECK(common::check_copies<Handles>(copies.first, copies.count));
    return queue.order(
        sync,
        [&] {
            common::run_copies<Handles>(copies.first, copies.count);
            return sdk::Status();
        },
        [&](Work& work) {
            work.kind = Work::Kind::kCopy;
            work.copies.assign(copies.begin(), copies.end());
            return sdk::Status();
        });
}

}  // namespace tenon::null_backend
