#include "backends/common/bind_check.h"

#include "null_backend.h"

namespace tenon::null_backend {

sdk::Status Exec::run(const tenon_bind& bind) const noexcept {
    if (bind.cancel != nullptr && __atomic_load_n(bind.cancel, __ATOMIC_RELAXED) != 0) {
        return sdk::fail(TENON_CANCELLED, "The cancel word was set.");
    }
    for (const common::BoundValue& output : bound) {
        Buffer* buffer = Handles::get(bind.buffers[output.slot]);
        if (buffer == nullptr) continue;
        const uint64_t offset = bind.offsets == nullptr ? 0 : bind.offsets[output.slot];
        uint64_t bytes = 0;
        if (common::value_bytes(output, bind.symbols, &bytes))
            std::memset(buffer->at(offset), 0, bytes);
    }
    if (bind.progress != nullptr) {
        __atomic_fetch_add(bind.progress, uint64_t{n_nodes}, __ATOMIC_RELAXED);
    }
    return {};
}

sdk::Status Impl::submit(Queue& queue, Exec& exec, const tenon_bind& bind, const tenon_sync& sync) {
    const auto bytes_of = [](tenon_buffer* buffer) -> uint64_t {
        return Handles::get(buffer)->memory.bytes();
    };
    TENON_SDK_CHECK(common::check_bind(exec, bind, bytes_of));
    return queue.order(
        sync, [&] { return exec.run(bind); },
        [&](Work& work) {
            work.take_bind(exec, bind);
            work.exec = &exec;
            return sdk::Status();
        });
}

}  // namespace tenon::null_backend
