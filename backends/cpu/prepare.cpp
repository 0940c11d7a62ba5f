#include <algorithm>

#include "backends/cpu/exec.h"

namespace tenon::cpu {
namespace {

// Turns the program into phases; one object per prepare.
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
    sdk::Status take_matmul(Node& node, uint32_t weight_port, uint32_t which);
    sdk::Status take_kv(const Node& node, uint32_t kv_heads, uint32_t dim_k, uint32_t dim_v,
                        uint32_t layer) const;
    void find_readers();
    void find_attention_inputs();
    void add_checks(uint32_t index);
    void add_check(IndexCheck check);
    Phase& add_phase(const PhaseKind& kind, uint32_t node);
    void add_rope_table(Node& node);
    void add_node(uint32_t index);
    bool writes_codes(const Node& node) const;

    const tenon_program& program_;
    const tenon_prepare& how_;
    Exec& exec_;
    std::vector<bool> codes_written_; // of each value, by a phase so far
    std::vector<bool> feeds_attention_; // of each value: q, k or v before their rotation
};

sdk::Status Compiler::take_buckets() {
    exec_.n_slots = program_.n_slots;
    exec_.n_symbols = program_.n_symbols;
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

sdk::Status Compiler::take_matmul(Node& node, uint32_t port, uint32_t which) {
    const Value& value = exec_.values[node.in[port]];
    const WeightEntry& entry = exec_.weights->entries[value.weight];
    const int64_t rows = value.dims[0].add;
    if (entry.packed == nullptr || entry.rows != rows || entry.cols != value.cols)
        return sdk::fail(TENON_INVALID, "Weight %u is %u x %u, the program has it as %lld x %llu.",
                         value.weight, entry.rows, entry.cols, static_cast<long long>(rows),
                         static_cast<unsigned long long>(value.cols));
    const kernels::MatmulEntry& kernel =
        *exec_.device->kernels.matmul[static_cast<size_t>(entry.layout.format)];
    node.weights[which] = &entry;
    if (node.op == TENON_OP_EMBED) return {};
    if (exec_.values[node.in[0]].cols != entry.cols)
        return sdk::fail(TENON_INVALID, "A matmul's x has %llu columns, its weight %u.",
                         static_cast<unsigned long long>(exec_.values[node.in[0]].cols), entry.cols);
    // Scores are exponentiated: q, k and v from 8-bit activations cost more perplexity than all other
    // matmuls together (DECISIONS 0013).
    const bool fast = exec_.fast && kernel.fast != nullptr && !feeds_attention_[node.out[0]];
    if (which == 1 && fast != node.fast) {
        // Gate and up of different classes: both take the path that reads floats.
        node.fast = false;
        const auto other = static_cast<size_t>(node.weights[0]->layout.format);
        node.multiply[0] = exec_.device->kernels.matmul[other]->precise;
        node.multiply[1] = kernel.precise;
        return {};
    }
    node.fast = fast;
    const bool rounds = exec_.fast && kernel.rounded != nullptr && !feeds_attention_[node.out[0]];
    node.multiply[which] = fast ? kernel.fast : rounds ? kernel.rounded : kernel.precise;
    return {};
}

sdk::Status Compiler::take_kv(const Node&, uint32_t kv_heads, uint32_t dim_k, uint32_t dim_v,
                              uint32_t layer) const {
    if (exec_.kv == nullptr)
        return sdk::fail(TENON_INVALID, "The program reads a KV pool, but none is bound.");
    const kernels::KvGeometry& g = exec_.kv->geometry;
    if (g.kv_heads != kv_heads || g.dim_k != dim_k || g.dim_v != dim_v ||
        layer >= exec_.kv->n_layers)
        return sdk::fail(TENON_INVALID,
                         "The program wants layer %u of %u heads of %u and %u; the KV pool has %u "
                         "layers of %u heads of %u and %u.",
                         layer, kv_heads, dim_k, dim_v, exec_.kv->n_layers, g.kv_heads, g.dim_k,
                         g.dim_v);
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
        if (entry.plain == nullptr || uint64_t{entry.rows} * entry.cols != count)
            return sdk::fail(TENON_INVALID,
                             "Weight %u is read as %llu floats; it was put as %u x %u%s.",
                             value.weight, static_cast<unsigned long long>(count), entry.rows,
                             entry.cols, entry.plain == nullptr ? ", not for elementwise use" : "");
    }
    return {};
}

// Before the nodes are checked: indices may be anything.
void Compiler::find_attention_inputs() {
    feeds_attention_.assign(program_.n_values, false);
    for (uint32_t i = 0; i < program_.n_nodes; ++i) {
        const tenon_node& node = sdk::node_at(program_, i);
        if (node.op != TENON_OP_ROPE_KV_WRITE) continue;
        for (uint32_t port = 0; port < std::min(node.n_inputs, 3u); ++port)
            if (node.inputs[port] < program_.n_values) feeds_attention_[node.inputs[port]] = true;
    }
}

sdk::Status Compiler::take_nodes() {
    find_attention_inputs();
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
        sdk::Status status;
        if (node.op == TENON_OP_EMBED) status = take_matmul(node, 0, 0);
        if (node.op == TENON_OP_MATMUL) status = take_matmul(node, 1, 0);
        if (node.op == TENON_OP_MATMUL_GLU) {
            status = take_matmul(node, 1, 0);
            if (status.ok()) status = take_matmul(node, 2, 1);
        }
        if (node.op == TENON_OP_ROPE_KV_WRITE) {
            const auto& attr = node.attr<tenon_attr_rope_kv_write>();
            status = take_kv(node, attr.n_kv_heads, attr.dim_k, attr.dim_v, attr.layer);
        }
        if (node.op == TENON_OP_PAGED_ATTN) {
            const auto& attr = node.attr<tenon_attr_paged_attn>();
            status = take_kv(node, attr.n_kv_heads, attr.dim_k, attr.dim_v, attr.layer);
        }
        if (!status.ok()) return std::move(status).at_node(i);
        exec_.nodes.push_back(node);
    }
    return {};
}

void Compiler::find_readers() {
    for (Value& value : exec_.values)
        if (value.kind != TENON_VALUE_TEMP) value.as_float = true;
    for (const Node& node : exec_.nodes) {
        const bool matmul = node.op == TENON_OP_MATMUL || node.op == TENON_OP_MATMUL_GLU;
        for (uint32_t port = 0; port < kInputsMax; ++port) {
            if (node.in[port] == TENON_NONE) continue;
            Value& value = exec_.values[node.in[port]];
            if (port == 0 && matmul && node.fast)
                value.as_codes = true;
            else
                value.as_float = true;
        }
        // Attention writes floats before it quantises them; everything else that cannot write
        // codes itself needs them too.
        if (!(node.op == TENON_OP_RMS_NORM || node.op == TENON_OP_MATMUL_GLU))
            for (uint32_t out : node.out)
                if (out != TENON_NONE) exec_.values[out].as_float = true;
    }
    // A norm read by matmuls alone is cheap enough to repeat on every thread.
    std::vector<bool> only_matmuls(exec_.values.size(), true);
    for (const Node& node : exec_.nodes) {
        const bool matmul = node.op == TENON_OP_MATMUL || node.op == TENON_OP_MATMUL_GLU;
        for (uint32_t port = 0; port < kInputsMax; ++port)
            if (node.in[port] != TENON_NONE && !(matmul && port == 0))
                only_matmuls[node.in[port]] = false;
    }
    for (const Node& node : exec_.nodes) {
        if (node.op != TENON_OP_RMS_NORM || node.out[1] != TENON_NONE) continue;
        Value& value = exec_.values[node.out[0]];
        value.per_thread = value.kind == TENON_VALUE_TEMP && only_matmuls[node.out[0]];
    }
}

void Compiler::add_check(IndexCheck check) {
    for (const IndexCheck& other : exec_.checks)
        if (other.kind == check.kind && other.value == check.value && other.limit == check.limit &&
            other.limit_value == check.limit_value && other.block_table == check.block_table &&
            other.kv_len == check.kv_len && other.tokens == check.tokens)
            return;
    exec_.checks.push_back(check);
}

void Compiler::add_checks(uint32_t index) {
    const Node& node = exec_.nodes[index];
    IndexCheck check;
    check.node = index;
    if (node.op == TENON_OP_EMBED) {
        check.kind = IndexCheck::Kind::kIds;
        check.value = node.in[1];
        check.limit = node.weights[0]->rows;
        add_check(check);
    } else if (node.op == TENON_OP_ROPE_KV_WRITE) {
        check.kind = IndexCheck::Kind::kSlots;
        check.value = node.in[4];
        check.limit = exec_.kv->n_blocks * exec_.kv->geometry.block_tokens;
        add_check(check);
    } else if (node.op == TENON_OP_GATHER_ROWS) {
        check.kind = IndexCheck::Kind::kRows;
        check.value = node.in[1];
        check.limit_value = node.in[0];
        add_check(check);
    } else if (node.op == TENON_OP_PAGED_ATTN) {
        check.kind = IndexCheck::Kind::kSequences;
        check.block_table = node.in[2];
        check.kv_len = node.in[3];
        check.value = node.in[4];
        check.tokens = node.in[0];
        add_check(check);
    } else if (node.op == TENON_OP_POOL_ROWS) {
        check.kind = IndexCheck::Kind::kSequences;
        check.block_table = TENON_NONE;
        check.kv_len = TENON_NONE;
        check.value = node.in[1];
        check.tokens = node.in[0];
        add_check(check);
    }
}

Phase& Compiler::add_phase(const PhaseKind& kind, uint32_t node) {
    Phase phase;
    phase.kind = &kind;
    if (node != TENON_NONE) phase.nodes.push_back(node);
    phase.index = static_cast<uint32_t>(exec_.phases.size());
    exec_.phases.push_back(std::move(phase));
    return exec_.phases.back();
}

void Compiler::add_rope_table(Node& node) {
    const auto& attr = node.attr<tenon_attr_rope_kv_write>();
    RopeTable table{};
    table.positions = node.in[3];
    table.inv_freq = node.in[5];
    table.rope_dim = attr.style == TENON_ROPE_NONE ? 0 : attr.rope_dim;
    table.style = attr.style == TENON_ROPE_INTERLEAVED ? kernels::RopeStyle::kInterleaved
                                                       : kernels::RopeStyle::kHalves;
    table.mscale = attr.mscale;
    for (size_t i = 0; i < exec_.rope_tables.size(); ++i) {
        const RopeTable& other = exec_.rope_tables[i];
        if (other.positions == table.positions && other.inv_freq == table.inv_freq &&
            other.rope_dim == table.rope_dim && other.style == table.style &&
            other.mscale == table.mscale) {
            node.rope_table = static_cast<uint32_t>(i);
            return;
        }
    }
    node.rope_table = static_cast<uint32_t>(exec_.rope_tables.size());
    exec_.rope_tables.push_back(table);
    add_phase(kRopeTablePhase, TENON_NONE).subject = node.rope_table;
}

// Whether the node's own phase leaves the codes of its first output behind.
bool Compiler::writes_codes(const Node& node) const {
    if (node.op == TENON_OP_PAGED_ATTN)
        return node.attr<tenon_attr_paged_attn>().dim_v % kernels::kBlockCols == 0;
    return node.op == TENON_OP_RMS_NORM || node.op == TENON_OP_MATMUL_GLU;
}

void Compiler::add_node(uint32_t index) {
    Node& node = exec_.nodes[index];
    switch (node.op) {
        case TENON_OP_MATMUL: {
            // Matmuls of the same rows are one phase, unless one reads what another writes.
            Phase* last = exec_.phases.empty() ? nullptr : &exec_.phases.back();
            bool joins = last != nullptr && last->kind == &kMatmulPhase;
            for (uint32_t other : joins ? last->nodes : std::vector<uint32_t>()) {
                joins = joins && exec_.nodes[other].in[0] == node.in[0];
                for (uint32_t port = 1; port < 4; ++port)
                    joins = joins && (node.in[port] == TENON_NONE ||
                                      node.in[port] != exec_.nodes[other].out[0]);
            }
            if (joins)
                last->nodes.push_back(index);
            else
                add_phase(kMatmulPhase, index);
            break;
        }
        case TENON_OP_MATMUL_GLU: add_phase(kGluPhase, index); break;
        case TENON_OP_RMS_NORM:
            add_phase(kNormPhase, index);
            exec_.values[node.out[0]].producer = index;
            break;
        case TENON_OP_ROPE_KV_WRITE: add_phase(kRopePhase, index); break;
        case TENON_OP_PAGED_ATTN: add_phase(kAttentionPhase, index); break;
        case TENON_OP_EMBED: add_phase(kEmbedPhase, index); break;
        case TENON_OP_GATHER_ROWS: add_phase(kGatherPhase, index); break;
        case TENON_OP_SAMPLE: add_phase(kSamplePhase, index); break;
        case TENON_OP_POOL_ROWS: add_phase(kPoolPhase, index); break;
        default: add_phase(kElementwisePhase, index); break;
    }
}

sdk::Status Compiler::compile() {
    TENON_SDK_CHECK(take_buckets());
    TENON_SDK_CHECK(take_values());
    TENON_SDK_CHECK(take_nodes());
    find_readers();
    codes_written_.assign(exec_.values.size(), false);
    for (Node& node : exec_.nodes)
        if (node.op == TENON_OP_ROPE_KV_WRITE) add_rope_table(node);
    for (uint32_t i = 0; i < exec_.nodes.size(); ++i) {
        const Node& node = exec_.nodes[i];
        if (node.fast && !codes_written_[node.in[0]]) {
            add_phase(kQuantisePhase, TENON_NONE).subject = node.in[0];
            codes_written_[node.in[0]] = true;
        }
        add_checks(i);
        add_node(i);
        if (writes_codes(node)) codes_written_[node.out[0]] = true;
    }
    exec_.phase_units.assign(exec_.phases.size(), 0);
    exec_.phase_ns.assign(exec_.phases.size(), 0);
    exec_.computed_at.assign(exec_.values.size() * exec_.device->pool->threads(), 0);
    exec_.rows.assign(exec_.values.size(), 0);
    exec_.data.assign(exec_.values.size(), nullptr);
    return plan_memory(exec_);
}

} // namespace

sdk::Status Impl::prepare(Device& device, const tenon_program& program, const tenon_prepare& how,
                          std::unique_ptr<Exec>& exec, tenon_exec_info& info) {
    auto made = std::make_unique<Exec>();
    made->device = &device;
    made->weights = Handles::get(how.weights);
    made->kv = Handles::get(how.kv);
    made->fast = how.compute == TENON_COMPUTE_FAST;
    made->profile = (how.flags & TENON_PREPARE_PROFILE) != 0;
    made->measured = (how.flags & TENON_PREPARE_MEASURE) != 0;
    if (made->weights != nullptr && made->weights->measured && !made->measured) {
        return sdk::fail(TENON_INVALID,
                         "The weight set was only measured; it serves PREPARE_MEASURE alone.");
    }
    Compiler compiler(program, how, *made);
    TENON_SDK_CHECK(compiler.compile());
    info.flags = TENON_EXEC_REPLAYABLE | TENON_EXEC_DETERMINISTIC;
    info.n_phases = static_cast<uint32_t>(made->phases.size());
    info.scratch_bytes = made->shared.bytes() + made->threads.bytes();
    exec = std::move(made);
    return {};
}

sdk::Status Impl::exec_profile(Exec& exec, sdk::Strided<tenon_node_time> times, uint32_t& count) {
    if (!exec.profile)
        return sdk::fail(TENON_UNSUPPORTED, "The program was prepared without PREPARE_PROFILE.");
    uint32_t written = 0;
    // A phase of several nodes is told in equal parts.
    for (const Phase& phase : exec.phases)
        for (uint32_t node : phase.nodes) {
            if (written < times.count())
                times[written] = {node, 0, exec.phase_ns[phase.index] / phase.nodes.size()};
            ++written;
        }
    count = written;
    return {};
}

} // namespace tenon::cpu
