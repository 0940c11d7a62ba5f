// Weights, pools and programs of the reference backend.
#include <algorithm>
#include <cstring>

#include "core/ops/node_view.h"
#include "core/ops/op.h"
#include "tests/conformance/reference_plugin/reference_backend.h"

#include <tenon/reference/dequant.h>

namespace tenon::reference_backend {
namespace {

constexpr int64_t kElementsMax = int64_t{1} << 32;

// Bytes of the value in slot, for these symbols.
uint64_t bytes_of(const tenon_value& value, const int64_t* symbols) {
    uint64_t bytes = sdk::dtype_bytes(value.dtype);
    for (uint32_t axis = 0; axis < value.rank; ++axis) {
        bytes *= static_cast<uint64_t>(sdk::extent(value.dims[axis], symbols));
    }
    return bytes;
}

}  // namespace

sdk::Status Impl::weights_begin(Device&, uint32_t n_entries, uint64_t,
                                std::unique_ptr<Weights>& weights) {
    weights = std::make_unique<Weights>();
    weights->entries_max = n_entries;
    return {};
}

sdk::Status Impl::weights_put(Weights& weights, const tenon_weight& weight, uint32_t& entry) {
    const tenon_format& format = *weight.format;
    if (const char* problem = reference::format_problem(format)) {
        return sdk::fail(TENON_UNSUPPORTED, "The format cannot be decoded: %s.", problem);
    }
    if (weights.finished || weights.entries.size() == weights.entries_max) {
        return sdk::fail(TENON_INVALID, "The set takes no more weights.");
    }
    if (weight.rows < 1 || weight.cols < 1 || weight.cols % format.block_elems != 0 ||
        weight.rows > kElementsMax || weight.cols > kElementsMax / weight.rows) {
        return sdk::fail(TENON_INVALID, "%lld rows of %lld do not fit blocks of %u.",
                         static_cast<long long>(weight.rows), static_cast<long long>(weight.cols),
                         format.block_elems);
    }
    const uint64_t bytes = static_cast<uint64_t>(weight.rows * (weight.cols / format.block_elems)) *
                           format.block_bytes;
    if (weight.plane_bytes[0] != bytes) {
        return sdk::fail(TENON_INVALID, "The plane has %llu bytes, %llu are wanted.",
                         static_cast<unsigned long long>(weight.plane_bytes[0]),
                         static_cast<unsigned long long>(bytes));
    }
    const auto* plane = static_cast<const std::byte*>(weight.planes[0]);
    auto& kept = weights.bytes.emplace_back(bytes);
    if (plane != nullptr) std::copy(plane, plane + bytes, kept.begin());
    weights.measured |= plane == nullptr;
    entry = static_cast<uint32_t>(weights.entries.size());
    weights.entries.push_back({format, weight.rows, weight.cols, kept});
    return {};
}

sdk::Status Impl::weights_finish(Weights& weights, tenon_weights_info& info) {
    weights.finished = true;
    info.host_bytes = 0;
    for (const auto& bytes : weights.bytes)
        info.host_bytes += bytes.size();
    info.device_bytes = info.host_bytes;
    info.entries = static_cast<uint32_t>(weights.entries.size());
    return {};
}

sdk::Status Impl::weights_save(Weights&, void*, uint64_t&) {
    return sdk::fail(TENON_UNSUPPORTED, "Nothing is packed, so nothing is saved.");
}

sdk::Status Impl::weights_restore(Weights&, const void*, uint64_t) {
    return sdk::fail(TENON_UNSUPPORTED, "Nothing is packed, so nothing is restored.");
}

sdk::Status Impl::kv_query(Device&, const tenon_kv_desc& desc, tenon_kv_info& info) {
    if (!reference::is_kv_dtype(desc.dtype)) {
        return sdk::fail(TENON_UNSUPPORTED, "KV of dtype %u is not offered.", desc.dtype);
    }
    if (desc.block_tokens != 16 && desc.block_tokens != 32) {
        return sdk::fail(TENON_INVALID, "A block of %u positions is neither 16 nor 32.",
                         desc.block_tokens);
    }
    uint64_t bytes = uint64_t{desc.block_tokens} * sizeof(float);
    bool wraps = __builtin_mul_overflow(bytes, uint64_t{desc.dim_k} + desc.dim_v, &bytes);
    wraps |= __builtin_mul_overflow(bytes, uint64_t{desc.n_kv_heads}, &bytes);
    wraps |= __builtin_mul_overflow(bytes, uint64_t{desc.n_layers}, &bytes);
    wraps |= __builtin_mul_overflow(bytes, uint64_t{desc.n_blocks}, &info.pool_bytes);
    if (wraps || info.pool_bytes > (uint64_t{1} << 32)) {
        return sdk::fail(TENON_OOM_DEVICE, "The pool is too large.");
    }
    info.block_bytes = bytes;
    return {};
}

sdk::Status Impl::kv_create(Device& device, const tenon_kv_desc& desc,
                            std::unique_ptr<KvPool>& pool) {
    tenon_kv_info info{};
    TENON_SDK_CHECK(kv_query(device, desc, info));
    pool = std::make_unique<KvPool>(KvPool{desc, ops::HostKv(desc)});
    return {};
}

sdk::Status Impl::kv_move(Queue& queue, sdk::Span<const tenon_kv_move> moves,
                          const tenon_sync& sync) {
    for (const tenon_kv_move& move : moves) {
        if (move.dst >= Handles::get(move.dst_pool)->desc.n_blocks ||
            move.src >= Handles::get(move.src_pool)->desc.n_blocks) {
            return sdk::fail(TENON_INVALID, "A move leaves its pool.");
        }
    }
    const std::vector<tenon_kv_move> kept(moves.begin(), moves.end());
    Device* device = queue.device;
    return enqueue(queue, sync, [kept, device] {
        for (const tenon_kv_move& move : kept) {
            if (device->broken("kv_move")) continue;
            const reference::ReferenceKv& dst = Handles::get(move.dst_pool)->kv.view();
            const reference::ReferenceKv& src = Handles::get(move.src_pool)->kv.view();
            for (uint32_t layer = 0; layer < dst.n_layers; ++layer) {
                std::memmove(dst.key(layer, int64_t{move.dst} * dst.block_tokens, 0),
                             src.key(layer, int64_t{move.src} * src.block_tokens, 0),
                             static_cast<size_t>(dst.block_elements()) * sizeof(float));
            }
        }
        return int32_t{TENON_OK};
    });
}

sdk::Status Impl::query(Device& device, const tenon_program& program, uint32_t,
                        sdk::Strided<tenon_verdict> verdicts) {
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        const ops::OpDef* op = ops::find_op(ops::node_at(program, i).op);
        const char* reason = op == nullptr                ? "The op has no reference."
                             : op->name == device.without ? "The option 'without' names the op."
                                                          : "";
        sdk::set_verdict(verdicts[i], *reason == 0 ? TENON_VERDICT_NATIVE : TENON_VERDICT_NO, 0,
                         reason);
    }
    return {};
}

sdk::Status Impl::prepare(Device& device, const tenon_program& program, const tenon_prepare& how,
                          std::unique_ptr<Exec>& exec, tenon_exec_info& info) {
    auto made = std::make_unique<Exec>();
    made->device = &device;
    made->program = program;
    made->program.size = sizeof made->program;
    made->profile = (how.flags & TENON_PREPARE_PROFILE) != 0;
    std::vector<ops::StoredWeight> none;
    const Weights* weights = Handles::get(how.weights);
    made->measured = (how.flags & TENON_PREPARE_MEASURE) != 0;
    if (weights != nullptr && weights->measured && !made->measured) {
        return sdk::fail(TENON_INVALID, "The weight set was only measured.");
    }
    const KvPool* pool = Handles::get(how.kv);
    auto interpreter =
        ops::Interpreter::create(made->program, weights == nullptr ? none : weights->entries,
                                 pool == nullptr ? nullptr : &pool->kv.view());
    if (!interpreter.ok()) return to_sdk(interpreter.error());
    made->interpreter.emplace(std::move(*interpreter));
    for (uint32_t b = 0; b < how.n_buckets; ++b) {
        made->buckets.emplace_back(how.buckets[b].max, how.buckets[b].max + program.n_symbols);
    }
    made->slots.assign(program.n_slots, nullptr);
    for (uint32_t i = 0; i < program.n_values; ++i) {
        const tenon_value& value = ops::value_at(program, i);
        if (value.slot != TENON_NONE) made->slots[value.slot] = &value;
    }
    info.flags = TENON_EXEC_REPLAYABLE | TENON_EXEC_DETERMINISTIC;
    exec = std::move(made);
    return {};
}

sdk::Status Impl::exec_profile(Exec& exec, sdk::Strided<tenon_node_time> times, uint32_t& count) {
    if (!exec.profile)
        return sdk::fail(TENON_UNSUPPORTED, "The program was prepared without a profile.");
    const uint32_t n = exec.program.n_nodes;
    for (uint32_t i = 0; i < n && i < times.count(); ++i)
        times[i] = {i, 0, 1};
    count = n;
    return {};
}

sdk::Status Impl::submit(Queue& queue, Exec& exec, const tenon_bind& bind, const tenon_sync& sync) {
    if (exec.measured) return sdk::fail(TENON_INVALID, "The program was only measured.");
    if (bind.n_slots != exec.slots.size() || (bind.n_slots > 0 && bind.buffers == nullptr)) {
        return sdk::fail(TENON_INVALID, "%u buffers are bound, the program has %zu slots.",
                         bind.n_slots, exec.slots.size());
    }
    if (bind.bucket >= exec.buckets.size()) {
        return sdk::fail(TENON_INVALID, "Bucket %u was not prepared.", bind.bucket);
    }
    const std::vector<int64_t>& largest = exec.buckets[bind.bucket];
    if (!largest.empty() && bind.symbols == nullptr) {
        return sdk::fail(TENON_INVALID, "No symbols are bound.");
    }
    const std::vector<int64_t> symbols(bind.symbols, bind.symbols + largest.size());
    for (size_t i = 0; i < symbols.size(); ++i) {
        if (symbols[i] < 0 || symbols[i] > largest[i]) {
            return sdk::fail(TENON_INVALID, "Symbol %zu is %lld.", i,
                             static_cast<long long>(symbols[i]));
        }
    }
    std::vector<Buffer*> buffers;
    std::vector<uint64_t> offsets;
    for (uint32_t slot = 0; slot < bind.n_slots; ++slot) {
        buffers.push_back(Handles::get(bind.buffers[slot]));
        offsets.push_back(bind.offsets == nullptr ? 0 : bind.offsets[slot]);
        if (exec.slots[slot] == nullptr) continue;
        if (buffers[slot] == nullptr || offsets[slot] > buffers[slot]->bytes.size() ||
            bytes_of(*exec.slots[slot], symbols.data()) >
                buffers[slot]->bytes.size() - offsets[slot]) {
            return sdk::fail(TENON_INVALID, "The buffer of slot %u is missing or too short.", slot);
        }
    }
    const uint32_t* cancel = bind.cancel;
    uint64_t* progress = bind.progress;
    return enqueue(queue, sync, [&exec, buffers, offsets, symbols, cancel, progress] {
        return exec.run(buffers, offsets, symbols, cancel, progress);
    });
}

int32_t Exec::run(const std::vector<Buffer*>& buffers, const std::vector<uint64_t>& offsets,
                  const std::vector<int64_t>& symbols, const uint32_t* cancel, uint64_t* progress) {
    if (cancel != nullptr && __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0 &&
        !device->broken("cancel")) {
        return TENON_CANCELLED;
    }
    // Copies, because the interpreter wants aligned arrays and a caller's offset may be odd.
    std::vector<std::vector<uint64_t>> held(slots.size());
    std::vector<std::span<std::byte>> spans(slots.size());
    for (size_t slot = 0; slot < slots.size(); ++slot) {
        if (slots[slot] == nullptr) continue;
        const uint64_t bytes = bytes_of(*slots[slot], symbols.data());
        held[slot].resize((bytes + 7) / 8);
        spans[slot] = std::as_writable_bytes(std::span(held[slot])).first(bytes);
        std::memcpy(spans[slot].data(), buffers[slot]->bytes.data() + offsets[slot], bytes);
    }
    const Status ran = interpreter->run(symbols, spans);
    if (!ran.ok()) return static_cast<int32_t>(ran.error().code);
    for (size_t slot = 0; slot < slots.size(); ++slot) {
        if (slots[slot] == nullptr || slots[slot]->kind != TENON_VALUE_OUTPUT) continue;
        auto* words = reinterpret_cast<uint32_t*>(held[slot].data());
        const bool floats = slots[slot]->dtype == TENON_F32;
        const size_t count = spans[slot].size() / 4;
        if (floats && count > 0) {
            float first;
            std::memcpy(&first, words, 4);
            if (device->broken("value")) first = first * 1.5f + 0.1f;
            std::memcpy(words, &first, 4);
            // The lowest bit depends on how many tokens came along.
            if (device->broken("company") && !symbols.empty() && symbols[0] % 2 == 1)
                words[count - 1] ^= 1u;
        }
        if (!floats && count > 0 && device->broken("token")) words[0] += 1;
        uint8_t* to = buffers[slot]->bytes.data() + offsets[slot];
        std::memcpy(to, spans[slot].data(), spans[slot].size());
        if (device->broken("edge") && offsets[slot] > 0) to[-1] = 0;
    }
    if (progress != nullptr && !device->broken("progress")) {
        __atomic_fetch_add(progress, uint64_t{program.n_nodes}, __ATOMIC_RELAXED);
    }
    return TENON_OK;
}

}  // namespace tenon::reference_backend

namespace {

tenon::sdk::Status activate(const tenon_host&) { return {}; }
void deactivate() {}
const void* iface(const char* id) {
    return tenon::sdk::same(id, TENON_IFACE_BACKEND) ? tenon::reference_backend::Handles::table()
                                                     : nullptr;
}

}  // namespace

TENON_PLUGIN("reference", "0.1.0", activate, deactivate, iface)
