// A step-program: the typed nodes that a backend prepares once and runs every step.
//
// ProgramBuilder writes one node per call, in data-flow order, and returns the index of the value
// that the node makes. Program owns every array, string and attribute block behind the C view that
// the plugin ABI takes (tenon_program). Neither checks shapes: verify_program (core/ops/verify.h)
// does.
#pragma once

#include <tenon/abi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::ops {

// Index of a value inside its program.
using ValueId = uint32_t;
inline constexpr ValueId kNoValue = TENON_NONE;

// Extent of a dimension: a number, or a symbol times a factor plus an offset.
struct Dim {
    Dim(int64_t extent) : add(extent) {}
    static Dim of(uint32_t symbol, int32_t mul = 1, int64_t add = 0) {
        Dim dim(add);
        dim.symbol = symbol;
        dim.mul = mul;
        return dim;
    }

    uint32_t symbol = TENON_NONE;
    int32_t mul = 1;
    int64_t add = 0;
};

// An immutable program. Move-only; view() stays valid, at the same address, as long as it lives.
class Program {
public:
    Program(Program&&) noexcept;
    Program& operator=(Program&&) noexcept;
    ~Program();

    const tenon_program& view() const noexcept;

private:
    friend class ProgramBuilder;
    struct Storage;
    explicit Program(std::unique_ptr<Storage> storage);
    std::unique_ptr<Storage> storage_;
};

// Builds a Program. One thread. The meaning of each op stands above its tenon_attr_* in abi.yaml.
class ProgramBuilder {
public:
    ProgramBuilder();
    ~ProgramBuilder();

    uint32_t symbol(std::string_view name, int64_t max);
    ValueId input(std::string_view name, uint32_t slot, tenon_dtype dtype, std::vector<Dim> dims);
    // `entry` is the weight's index in the weight set; its rank is 1 (elementwise) or 2 [rows,
    // cols].
    ValueId weight(std::string_view name, uint32_t entry, std::vector<Dim> dims);
    ValueId kv();

    // Nodes added from here on belong to this layer; TENON_NONE for none.
    void set_layer(uint32_t layer);

    ValueId embed(std::string_view name, ValueId table, ValueId ids, float scale);
    // Writes x + residual to *sum when residual is given.
    ValueId rms_norm(std::string_view name, ValueId x, ValueId gain, float epsilon,
                     ValueId residual = kNoValue, ValueId* sum = nullptr, float gain_offset = 0);
    ValueId matmul(std::string_view name, ValueId x, ValueId w, ValueId bias = kNoValue,
                   ValueId residual = kNoValue, float alpha = 1);
    ValueId matmul_glu(std::string_view name, ValueId x, ValueId gate, ValueId up,
                       tenon_activation activation);
    struct RopeKvWrite {
        ValueId q, k, v, positions, kv_slot, inv_freq, kv;
        ValueId q_gain = kNoValue, k_gain = kNoValue;
    };
    ValueId rope_kv_write(std::string_view name, const RopeKvWrite& in,
                          const tenon_attr_rope_kv_write& attr);
    ValueId paged_attn(std::string_view name, ValueId q, ValueId kv, ValueId block_table,
                       ValueId kv_len, ValueId q_start, const tenon_attr_paged_attn& attr,
                       ValueId sinks = kNoValue);
    ValueId gather_rows(std::string_view name, ValueId x, ValueId rows);
    // One row for each of the sequences that q_start [S + 1] bounds.
    ValueId pool_rows(std::string_view name, ValueId x, ValueId q_start, tenon_pool_kind kind);
    ValueId add(std::string_view name, ValueId a, ValueId b);
    ValueId mul(std::string_view name, ValueId a, ValueId b);
    ValueId activation(std::string_view name, ValueId x, tenon_activation activation);
    ValueId softcap(std::string_view name, ValueId x, float cap);
    struct SampleInputs {
        ValueId temperature, top_k, top_p, min_p, seed, position;
        ValueId mask = kNoValue;
    };
    // Returns token i32[L]; writes the log probability f32[L] to *logprob when it is given.
    ValueId sample(std::string_view name, ValueId logits, const SampleInputs& in,
                   ValueId* logprob = nullptr);

    // Appends any node; `outputs` are the types of the values it makes. Returns the first of them.
    struct Output {
        std::string name;
        tenon_dtype dtype;
        std::vector<Dim> dims;
    };
    ValueId node(tenon_op op, std::string_view name, std::vector<ValueId> inputs,
                 std::vector<Output> outputs, const void* attrs, uint32_t attr_bytes);

    // Makes a value that a node wrote the contents of a bound buffer.
    void mark_output(ValueId value, uint32_t slot);

    std::vector<Dim> dims_of(ValueId value) const;

    // The builder is empty afterwards.
    Program build();

private:
    ValueId add_value(tenon_value_kind kind, tenon_dtype dtype, std::string_view name,
                      const std::vector<Dim>& dims);
    std::unique_ptr<Program::Storage> storage_;
    uint32_t layer_ = TENON_NONE;
};

}  // namespace tenon::ops
