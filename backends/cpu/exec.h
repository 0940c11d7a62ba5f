// A prepared program: phases over planned memory.
//
// A phase is one node, or several that read the same rows, cut into units that threads claim. What
// varies from step to step is resolved into `rows` and `data` before the first phase opens.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/common/program_reader.h"
#include "backends/cpu/cpu_backend.h"

namespace tenon::cpu {

using common::kInputsMax;
using common::kOutputsMax;
// Up to a tile of tokens a step is bound by memory: work is split by weight rows, and each thread
// computes the norms that it reads instead of meeting the others once more.
constexpr int64_t kSmallRows = kernels::kTileTokens;
constexpr uint32_t kPanelTokens = 64;  // tokens of one unit of a large matmul
constexpr uint32_t kGluBlocks = 2;     // blocks of 32 outputs of a gated unit done at once

struct Value : common::ProgramValue {
    bool as_float = false;    // somebody reads (or is given) the floats
    bool as_codes = false;    // some matmul reads it in 8 bits
    bool per_thread = false;  // while small, every thread that reads it computes its own copy
    uint32_t producer = TENON_NONE;  // node that writes it
    uint32_t first_phase = UINT32_MAX;
    uint32_t last_phase = 0;
    uint64_t float_at = 0, codes_at = 0;                // in the shared arena
    uint64_t thread_float_at = 0, thread_codes_at = 0;  // in each thread's arena
};

struct Node : common::ProgramNode {
    const WeightEntry* weights[2] = {nullptr, nullptr};  // matmul, embed; glu: gate, up
    kernels::MatmulFn multiply[2] = {nullptr, nullptr};
    bool fast = false;        // the matmul reads codes
    uint32_t rope_table = 0;  // index into Exec::rope_tables
};

struct Phase;

// How an op is cut into units for this step, and one of them being run.
struct PhaseKind {
    uint32_t (*units)(const Exec& exec, const Phase& phase);
    void (*run)(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units, uint32_t thread);
};

struct Phase {
    const PhaseKind* kind = nullptr;
    std::vector<uint32_t> nodes;
    uint32_t index = 0;
    uint32_t subject = 0;  // the value a quantise phase is about, or a rope table
};

struct RopeTable {
    uint32_t positions, inv_freq;  // values
    uint32_t rope_dim;
    kernels::RopeStyle style;
    float mscale;
    uint64_t at = 0;  // in the shared arena
    float* data = nullptr;
};

// An index input and the range its elements must lie in.
struct IndexCheck {
    enum class Kind { kIds, kSlots, kRows, kSequences };
    Kind kind = Kind::kIds;
    uint32_t value = 0;                                // ids, slots, rows; sequences: q_start
    uint32_t limit = 0;                                // first illegal number
    uint32_t limit_value = TENON_NONE;                 // rows: the value whose rows are the limit
    uint32_t block_table = 0, kv_len = 0, tokens = 0;  // sequences
    uint32_t node = 0;
};

// Owns an anonymous mapping; pages are taken when touched.
class Mapping {
public:
    ~Mapping();
    bool allocate(uint64_t bytes) noexcept;
    uint8_t* data() const noexcept { return data_; }
    uint64_t bytes() const noexcept { return bytes_; }

private:
    uint8_t* data_ = nullptr;
    uint64_t bytes_ = 0;
};

struct Exec final : public Job, public common::StepBounds {
    Device* device = nullptr;
    Weights* weights = nullptr;
    KvPool* kv = nullptr;
    bool fast = false;
    bool profile = false;
    std::vector<Value> values;
    std::vector<Node> nodes;
    std::vector<Phase> phases;
    std::vector<RopeTable> rope_tables;
    std::vector<IndexCheck> checks;
    Mapping shared;   // temporaries
    Mapping threads;  // thread_stride bytes for each thread
    uint64_t thread_stride = 0;
    uint64_t row_scratch_at = 0;     // one row of floats, or all heads of a token
    uint64_t glu_scratch_at = 0;     // gate and up of a panel: kGluBlocks blocks of 32 outputs
    uint64_t sample_scratch_at = 0;  // ids and weights of one row

    // Of the running step.
    std::vector<int64_t> rows;   // of each value
    std::vector<uint8_t*> data;  // floats or indices of each value; null where there are none
    const tenon_bind* bind = nullptr;
    bool cancelled = false;
    uint64_t step = 0;                  // counts steps
    std::vector<uint64_t> computed_at;  // [thread][value]: step of the thread's own copy
    std::vector<uint32_t> phase_units;
    std::vector<uint64_t> phase_ns;
    uint64_t phase_began_ns = 0;

    uint32_t units(uint32_t phase) noexcept override;
    void run(uint32_t phase, uint32_t unit, uint32_t thread) noexcept override;
    bool finished(uint32_t phase) noexcept override;

    bool small(uint32_t value) const noexcept { return rows[value] <= kSmallRows; }
    uint8_t* thread_memory(uint32_t thread) const noexcept {
        return threads.data() + thread * thread_stride;
    }
    float* row_scratch(uint32_t thread) const noexcept {
        return reinterpret_cast<float*>(thread_memory(thread) + row_scratch_at);
    }
    float* floats(uint32_t value, uint32_t thread) const noexcept {
        const Value& v = values[value];
        if (v.per_thread && small(value))
            return reinterpret_cast<float*>(thread_memory(thread) + v.thread_float_at);
        return reinterpret_cast<float*>(data[value]);
    }
    // Null where no matmul reads the value in 8 bits.
    kernels::ActivationBlock* codes(uint32_t value, uint32_t thread) const noexcept {
        const Value& v = values[value];
        if (!v.as_codes) return nullptr;
        uint8_t* base = v.per_thread && small(value) ? thread_memory(thread) + v.thread_codes_at
                                                     : shared.data() + v.codes_at;
        return reinterpret_cast<kernels::ActivationBlock*>(base);
    }
    const float* optional(uint32_t value, uint32_t thread) const noexcept {
        return value == TENON_NONE ? nullptr : floats(value, thread);
    }
    const int32_t* indices(uint32_t value) const noexcept {
        return reinterpret_cast<const int32_t*>(data[value]);
    }
};

// Part `unit` of `units` equal parts of `count`.
struct Share {
    uint32_t begin, end;
};
inline Share share(uint64_t count, uint32_t unit, uint32_t units) noexcept {
    return {static_cast<uint32_t>(count * unit / units),
            static_cast<uint32_t>(count * (unit + 1) / units)};
}

// Quantises rows [begin, end) of a value's floats into its codes, when a matmul reads them.
void quantise_rows(const Exec& exec, uint32_t value, const float* floats, uint32_t begin,
                   uint32_t end, uint32_t block_begin, uint32_t block_end,
                   uint32_t thread) noexcept;

// Sees to it that `thread` may read a value: computes its own copy of a small norm, once a step.
void ensure(Exec& exec, uint32_t value, uint32_t thread);

extern const PhaseKind kMatmulPhase, kGluPhase, kRopePhase, kRopeTablePhase, kAttentionPhase,
    kNormPhase, kQuantisePhase, kEmbedPhase, kGatherPhase, kElementwisePhase, kPoolPhase,
    kSamplePhase;

// Bytes of scratch that a sample phase needs for a vocabulary.
uint64_t sample_scratch_bytes(uint64_t vocabulary) noexcept;

// Lifetimes and offsets of all temporaries, tables and thread scratch; allocates them.
sdk::Status plan_memory(Exec& exec);

}  // namespace tenon::cpu
