#include <sys/mman.h>

#include <algorithm>

#include "backends/common/temporaries.h"
#include "backends/cpu/exec.h"

namespace tenon::cpu {
namespace {

using common::place_temporaries;
using common::round_up;

constexpr uint64_t kLine = 64;

uint64_t codes_bytes(uint64_t rows, uint64_t cols) noexcept {
    return kernels::tile_count(static_cast<uint32_t>(rows)) * (cols / kernels::kBlockCols) *
           sizeof(kernels::ActivationBlock);
}

void find_lifetimes(Exec& exec) {
    const auto touch = [&](uint32_t value, uint32_t phase) {
        if (value == TENON_NONE) return;
        Value& v = exec.values[value];
        v.first_phase = std::min(v.first_phase, phase);
        v.last_phase = std::max(v.last_phase, phase);
    };
    for (const Phase& phase : exec.phases) {
        if (phase.kind == &kQuantisePhase) touch(phase.subject, phase.index);
        for (uint32_t n : phase.nodes) {
            for (uint32_t value : exec.nodes[n].in)
                touch(value, phase.index);
            for (uint32_t value : exec.nodes[n].out)
                touch(value, phase.index);
        }
    }
    // A norm that threads compute for themselves reads its inputs as late as it is read.
    for (const Value& v : exec.values) {
        if (!v.per_thread) continue;
        for (uint32_t value : exec.nodes[v.producer].in)
            touch(value, v.last_phase);
    }
}

}  // namespace

Mapping::~Mapping() {
    if (data_ != nullptr) munmap(data_, bytes_);
}

bool Mapping::allocate(uint64_t bytes) noexcept {
    bytes = std::max<uint64_t>(bytes, 1);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    data_ = static_cast<uint8_t*>(memory);
    bytes_ = bytes;
    return true;
}

sdk::Status plan_memory(Exec& exec) {
    find_lifetimes(exec);
    std::vector<common::Temporary> shared;
    std::vector<common::Temporary> per_thread;
    uint64_t row = 1;
    uint64_t vocabulary = 0;
    for (Value& v : exec.values) {
        if (v.kind == TENON_VALUE_KV || v.kind == TENON_VALUE_WEIGHT) continue;
        if (v.first_phase == UINT32_MAX) continue;
        const uint64_t rows = static_cast<uint64_t>(v.rows_max);
        const uint64_t element = sdk::dtype_bytes(v.dtype);
        row = std::max(row, v.cols);
        if (v.kind == TENON_VALUE_TEMP && v.as_float)
            shared.push_back({round_up(rows * v.cols * element, kLine), v.first_phase, v.last_phase,
                              &v.float_at});
        if (v.as_codes)
            shared.push_back({round_up(codes_bytes(rows, v.cols), kLine), v.first_phase,
                              v.last_phase, &v.codes_at});
        if (!v.per_thread) continue;
        const uint64_t few = static_cast<uint64_t>(kSmallRows);
        if (v.as_float)
            per_thread.push_back({round_up(few * v.cols * element, kLine), v.first_phase,
                                  v.last_phase, &v.thread_float_at});
        if (v.as_codes)
            per_thread.push_back({round_up(codes_bytes(few, v.cols), kLine), v.first_phase,
                                  v.last_phase, &v.thread_codes_at});
    }
    for (RopeTable& table : exec.rope_tables) {
        const uint64_t tokens = static_cast<uint64_t>(exec.values[table.positions].rows_max);
        shared.push_back({round_up(tokens * 2 * table.rope_dim * sizeof(float), kLine), 0,
                          UINT32_MAX, &table.at});
    }
    for (const Node& node : exec.nodes)
        if (node.op == TENON_OP_SAMPLE)
            vocabulary = std::max(vocabulary, exec.values[node.in[0]].cols);
    const uint64_t shared_bytes = place_temporaries(shared);
    uint64_t bytes = place_temporaries(per_thread);
    exec.row_scratch_at = bytes;
    bytes += round_up(row * sizeof(float), kLine);
    exec.glu_scratch_at = bytes;
    bytes += uint64_t{2} * kPanelTokens * kGluBlocks * kernels::kBlockCols * sizeof(float);
    exec.sample_scratch_at = bytes;
    bytes += round_up(sample_scratch_bytes(vocabulary), kLine);
    // Neighbouring threads start on pages of their own.
    exec.thread_stride = round_up(bytes, 4096);
    if (!exec.shared.allocate(shared_bytes) ||
        !exec.threads.allocate(exec.thread_stride * exec.device->pool->threads())) {
        return sdk::fail(TENON_OOM_DEVICE, "Scratch memory of %llu bytes does not fit.",
                         static_cast<unsigned long long>(shared_bytes + bytes));
    }
    for (RopeTable& table : exec.rope_tables)
        table.data = reinterpret_cast<float*>(exec.shared.data() + table.at);
    return {};
}

}  // namespace tenon::cpu
