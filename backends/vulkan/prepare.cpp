#include <algorithm>
#include <cstring>

#include "backends/vulkan/builder.h"
#include "backends/vulkan/recorder.h"
#include "backends/vulkan/warm_up.h"
#include "shaders/include/step.h"

namespace tenon::vulkan {
namespace {

uint64_t round_up(uint64_t value, uint64_t unit) noexcept { return (value + unit - 1) / unit * unit; }

// Turns the program into dispatches; one object per prepare.
class Compiler {
public:
    Compiler(const tenon_program& program, const tenon_prepare& how, Exec& exec)
        : program_(program), how_(how), exec_(exec) {}

    sdk::Status compile();

private:
    sdk::Status take_buckets();
    sdk::Status take_values();
    sdk::Status take_nodes();
    sdk::Status check_plain(const Node& node) const;
    sdk::Status take_matrix(Node& node, uint32_t weight_port, uint32_t which);
    sdk::Status take_weights(Node& node);
    sdk::Status take_kv(uint32_t kv_heads, uint32_t dim_k, uint32_t dim_v, uint32_t layer) const;
    void add_scratch(Node& node);
    void find_lifetimes();
    sdk::Status take_bucket(uint32_t bucket);
    sdk::Status take_memory();

    const tenon_program& program_;
    const tenon_prepare& how_;
    Exec& exec_;
};

sdk::Status Compiler::take_buckets() {
    exec_.n_slots = program_.n_slots;
    exec_.n_symbols = program_.n_symbols;
    exec_.n_buckets = how_.n_buckets;
    if (program_.n_slots > kSlotsMax || program_.n_symbols > kSymbolsMax) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "The program has %u slots and %u symbols, this backend takes %u and %u.",
                         program_.n_slots, program_.n_symbols, kSlotsMax, kSymbolsMax);
    }
    for (uint32_t b = 0; b < how_.n_buckets; ++b) {
        for (uint32_t s = 0; s < program_.n_symbols; ++s) {
            const int64_t max = how_.buckets[b].max[s];
            if (max < 0 || max > sdk::symbol_at(program_, s).max || max > (int64_t{1} << 30)) {
                return sdk::fail(TENON_INVALID, "Bucket %u lets symbol %u grow to %lld, legal is %lld.",
                                 b, s, static_cast<long long>(max),
                                 static_cast<long long>(sdk::symbol_at(program_, s).max));
            }
            exec_.bucket_symbols.push_back(max);
        }
    }
    return {};
}

sdk::Status Compiler::take_values() {
    for (uint32_t i = 0; i < program_.n_values; ++i) {
        const tenon_value& source = sdk::value_at(program_, i);
        Value value;
        value.kind = source.kind;
        value.dtype = source.dtype;
        value.slot = source.slot;
        value.weight = source.weight;
        value.rank = source.rank;
        value.cols = 1;
        for (uint32_t d = 0; d < source.rank; ++d) {
            value.dims[d] = source.dims[d];
            if (d == 0) continue;
            if (source.dims[d].add <= 0 || value.cols > (uint64_t{1} << 32))
                return sdk::fail(TENON_INVALID, "Value %u has an illegal extent.", i);
            value.cols *= static_cast<uint64_t>(source.dims[d].add);
        }
        for (uint32_t b = 0; b < how_.n_buckets && source.rank > 0; ++b)
            value.rows_max = std::max(
                value.rows_max,
                sdk::extent(source.dims[0],
                            exec_.bucket_symbols.data() + size_t{b} * program_.n_symbols));
        if (value.cols > UINT32_MAX ||
            (value.kind != TENON_VALUE_KV && value.kind != TENON_VALUE_WEIGHT &&
             value.rows_max > 0 && value.bytes_max() / static_cast<uint64_t>(value.rows_max) >
                                       (uint64_t{1} << 40) / static_cast<uint64_t>(value.rows_max)))
            return sdk::fail(TENON_UNSUPPORTED, "Value %u has rows of %llu elements.", i,
                             static_cast<unsigned long long>(value.cols));
        if (source.kind == TENON_VALUE_KV && exec_.kv == nullptr)
            return sdk::fail(TENON_INVALID, "Value %u is a KV pool, but none is bound.", i);
        if (source.kind == TENON_VALUE_WEIGHT &&
            (exec_.weights == nullptr || !exec_.weights->finished ||
             source.weight >= exec_.weights->entries.size()))
            return sdk::fail(TENON_INVALID, "Value %u names weight %u of a finished set of %zu.", i,
                             source.weight,
                             exec_.weights == nullptr ? size_t{0} : exec_.weights->entries.size());
        exec_.values.push_back(value);
    }
    return {};
}

sdk::Status Compiler::take_matrix(Node& node, uint32_t port, uint32_t which) {
    const Value& value = exec_.values[node.in[port]];
    const WeightEntry& entry = exec_.weights->entries[value.weight];
    const int64_t rows = value.dims[0].add;
    if (entry.slices.empty() || entry.rows != rows || entry.cols != value.cols)
        return sdk::fail(TENON_INVALID, "Weight %u is %u x %u, the program has it as %lld x %llu.",
                         value.weight, entry.rows, entry.cols, static_cast<long long>(rows),
                         static_cast<unsigned long long>(value.cols));
    node.weights[which] = &entry;
    if (node.op != TENON_OP_EMBED && exec_.values[node.in[0]].cols != entry.cols)
        return sdk::fail(TENON_INVALID, "A matmul's x has %llu columns, its weight %u.",
                         static_cast<unsigned long long>(exec_.values[node.in[0]].cols), entry.cols);
    if (exec_.values[node.out[0]].cols != (node.op == TENON_OP_EMBED ? entry.cols : entry.rows))
        return sdk::fail(TENON_INVALID, "Weight %u gives rows of %u elements, the program has %llu.",
                         value.weight, node.op == TENON_OP_EMBED ? entry.cols : entry.rows,
                         static_cast<unsigned long long>(exec_.values[node.out[0]].cols));
    return {};
}

sdk::Status Compiler::take_kv(uint32_t kv_heads, uint32_t dim_k, uint32_t dim_v,
                              uint32_t layer) const {
    if (exec_.kv == nullptr)
        return sdk::fail(TENON_INVALID, "The program reads a KV pool, but none is bound.");
    const tenon_kv_desc& kv = exec_.kv->desc;
    if (kv.n_kv_heads != kv_heads || kv.dim_k != dim_k || kv.dim_v != dim_v || layer >= kv.n_layers)
        return sdk::fail(TENON_INVALID,
                         "The program wants layer %u of %u heads of %u and %u; the KV pool has %u "
                         "layers of %u heads of %u and %u.",
                         layer, kv_heads, dim_k, dim_v, kv.n_layers, kv.n_kv_heads, kv.dim_k,
                         kv.dim_v);
    return {};
}

// Weights that are read as floats (gains, biases, frequencies) were put for that use.
sdk::Status Compiler::check_plain(const Node& node) const {
    const auto is_matrix = [&](uint32_t port) {
        return (node.op == TENON_OP_EMBED && port == 0) ||
               (node.op == TENON_OP_MATMUL && port == 1) ||
               (node.op == TENON_OP_MATMUL_GLU && (port == 1 || port == 2));
    };
    for (uint32_t port = 0; port < kInputsMax; ++port) {
        if (node.in[port] == TENON_NONE || is_matrix(port)) continue;
        const Value& value = exec_.values[node.in[port]];
        if (value.kind != TENON_VALUE_WEIGHT) continue;
        const WeightEntry& entry = exec_.weights->entries[value.weight];
        const uint64_t count = static_cast<uint64_t>(value.dims[0].add) * value.cols;
        const bool plain = (entry.uses & TENON_USE_ELEMENTWISE) != 0;
        if (!plain || uint64_t{entry.rows} * entry.cols != count)
            return sdk::fail(TENON_INVALID,
                             "Weight %u is read as %llu floats; it was put as %u x %u%s.",
                             value.weight, static_cast<unsigned long long>(count), entry.rows,
                             entry.cols, plain ? "" : ", not for elementwise use");
    }
    return {};
}

sdk::Status Compiler::take_weights(Node& node) {
    switch (node.op) {
        case TENON_OP_EMBED: return take_matrix(node, 0, 0);
        case TENON_OP_MATMUL: return take_matrix(node, 1, 0);
        case TENON_OP_MATMUL_GLU:
            TENON_SDK_CHECK(take_matrix(node, 1, 0));
            return take_matrix(node, 2, 1);
        case TENON_OP_ROPE_KV_WRITE: {
            const auto& attr = node.attr<tenon_attr_rope_kv_write>();
            return take_kv(attr.n_kv_heads, attr.dim_k, attr.dim_v, attr.layer);
        }
        case TENON_OP_PAGED_ATTN: {
            const auto& attr = node.attr<tenon_attr_paged_attn>();
            return take_kv(attr.n_kv_heads, attr.dim_k, attr.dim_v, attr.layer);
        }
        default: return {};
    }
}

// Gate and up of two layouts take two dispatches, with the first product between them.
void Compiler::add_scratch(Node& node) {
    if (node.op != TENON_OP_MATMUL_GLU || node.weights[0]->layout == node.weights[1]->layout) return;
    Value value = exec_.values[node.out[0]];
    value.kind = TENON_VALUE_TEMP;
    node.scratch = static_cast<uint32_t>(exec_.values.size());
    exec_.values.push_back(value);
}

sdk::Status Compiler::take_nodes() {
    for (uint32_t i = 0; i < program_.n_nodes; ++i) {
        TENON_SDK_CHECK(check_node(program_, i).at_node(i));
        const tenon_node& source = sdk::node_at(program_, i);
        Node node;
        node.op = source.op;
        node.attrs = source.attrs;
        for (uint32_t port = 0; port < kInputsMax; ++port)
            node.in[port] = port < source.n_inputs ? source.inputs[port] : TENON_NONE;
        for (uint32_t port = 0; port < kOutputsMax; ++port)
            node.out[port] = port < source.n_outputs ? source.outputs[port] : TENON_NONE;
        TENON_SDK_CHECK(check_plain(node).at_node(i));
        TENON_SDK_CHECK(take_weights(node).at_node(i));
        add_scratch(node);
        exec_.nodes.push_back(node);
    }
    return {};
}

void Compiler::find_lifetimes() {
    for (uint32_t i = 0; i < exec_.nodes.size(); ++i) {
        const auto touch = [&](uint32_t id) {
            if (id == TENON_NONE) return;
            Value& v = exec_.values[id];
            v.first_node = std::min(v.first_node, i);
            v.last_node = std::max(v.last_node, i);
        };
        for (uint32_t id : exec_.nodes[i].in) touch(id);
        for (uint32_t id : exec_.nodes[i].out) touch(id);
        touch(exec_.nodes[i].scratch);
    }
}

sdk::Status record_node(Builder& b) {
    switch (b.node().op) {
        case TENON_OP_EMBED: return record_embed(b);
        case TENON_OP_RMS_NORM: return record_norm(b);
        case TENON_OP_MATMUL: return record_matmul(b);
        case TENON_OP_MATMUL_GLU: return record_glu(b);
        case TENON_OP_ROPE_KV_WRITE: return record_rope(b);
        case TENON_OP_PAGED_ATTN: return record_attention(b);
        case TENON_OP_SAMPLE: return record_sample(b);
        case TENON_OP_GATHER_ROWS:
        case TENON_OP_POOL_ROWS: return record_rows(b);
        default: return record_elementwise(b);
    }
}

sdk::Status Compiler::take_bucket(uint32_t bucket) {
    Builder builder(exec_, bucket);
    for (uint32_t i = 0; i < exec_.nodes.size(); ++i) {
        builder.begin_node(i);
        TENON_SDK_CHECK(record_node(builder).at_node(i));
    }
    return {};
}

// The error words lie behind the longest bucket's dispatches; takes memory unless only measured.
sdk::Status Compiler::take_memory() {
    size_t dispatches = 0;
    for (const auto& bucket : exec_.dispatches) dispatches = std::max(dispatches, bucket.size());
    exec_.step_words = static_cast<uint32_t>(dispatches) * STEP_DISPATCH_WORDS;
    for (auto& bucket : exec_.dispatches)
        for (Dispatch& d : bucket)
            std::memcpy(d.push + sizeof(uint32_t), &exec_.step_words, sizeof(uint32_t));
    exec_.image_bytes =
        round_up((exec_.step_words + STEP_ERROR_WORDS) * sizeof(uint32_t), kPlaceAlign);
    const uint64_t step_bytes = exec_.image_bytes + kPlaceAlign;
    exec_.scratch_bytes = exec_.temp_bytes + step_bytes;
    if (exec_.measured) return {};
    Arena& arena = exec_.device->arena;
    TENON_SDK_CHECK(arena.take(Purpose::kScratch, std::max(exec_.temp_bytes, kPlaceAlign),
                               "scratch memory of a program", exec_.scratch));
    TENON_SDK_CHECK(arena.take(Purpose::kScratch, step_bytes, "a step buffer", exec_.step));
    TENON_SDK_CHECK(arena.take(Purpose::kStaging, exec_.image_bytes * kStepsInFlight,
                               "the host's image of a step buffer", exec_.host));
    return make_commands(exec_);
}

sdk::Status Compiler::compile() {
    TENON_SDK_CHECK(take_buckets());
    TENON_SDK_CHECK(take_values());
    TENON_SDK_CHECK(take_nodes());
    find_lifetimes();
    plan_memory(exec_);
    exec_.dispatches.resize(exec_.n_buckets);
    exec_.recordings.resize(exec_.n_buckets);
    for (auto& bucket : exec_.recordings) bucket.reserve(kRecordingsMax);
    for (uint32_t b = 0; b < exec_.n_buckets; ++b) TENON_SDK_CHECK(take_bucket(b));
    return take_memory();
}

} // namespace

sdk::Status Impl::prepare(Device& device, const tenon_program& program, const tenon_prepare& how,
                          std::unique_ptr<Exec>& exec, tenon_exec_info& info) {
    auto made = std::make_unique<Exec>();
    made->device = &device;
    made->weights = Handles::get(how.weights);
    made->kv = Handles::get(how.kv);
    made->coarse = how.compute == TENON_COMPUTE_FAST &&
                   (how.flags & TENON_PREPARE_DETERMINISTIC) == 0;
    made->profile = (how.flags & TENON_PREPARE_PROFILE) != 0;
    made->measured = (how.flags & TENON_PREPARE_MEASURE) != 0;
    if (made->profile && device.features.timestamp_bits == 0)
        return sdk::fail(TENON_UNSUPPORTED, "This device has no timestamps in its compute queue.");
    if (made->weights != nullptr && made->weights->measured && !made->measured) {
        return sdk::fail(TENON_INVALID,
                         "The weight set was only measured; it serves PREPARE_MEASURE alone.");
    }
    TENON_SDK_CHECK(Compiler(program, how, *made).compile());
    if (!made->measured) TENON_SDK_CHECK(warm_up(*made));
    device.pipelines.save();
    uint64_t phases = 0;
    for (const auto& bucket : made->dispatches) phases = std::max<uint64_t>(phases, bucket.size());
    info.flags = TENON_EXEC_REPLAYABLE;
    if (made->deterministic) info.flags |= TENON_EXEC_DETERMINISTIC;
    info.n_phases = static_cast<uint32_t>(phases);
    info.scratch_bytes = made->scratch_bytes;
    exec = std::move(made);
    return {};
}

sdk::Status Impl::exec_profile(Exec& exec, sdk::Strided<tenon_node_time> times, uint32_t& count) {
    if (!exec.profile)
        return sdk::fail(TENON_UNSUPPORTED, "The program was prepared without PREPARE_PROFILE.");
    count = static_cast<uint32_t>(exec.nodes.size());
    for (uint32_t i = 0; i < count && i < times.count(); ++i)
        times[i] = {i, 0, i < exec.node_ns.size() ? exec.node_ns[i] : 0};
    return {};
}

} // namespace tenon::vulkan
