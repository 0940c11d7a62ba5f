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
    void take_nodes(const std::vector<common::ProgramNode>& nodes);
    void take_weight(Node& node, uint32_t weight_port, uint32_t which) const;
    void find_readers();
    void add_checks(uint32_t index);
    void add_check(IndexCheck check);
    Phase& add_phase(const PhaseKind& kind, uint32_t node);
    void add_rope_table(Node& node);
    void add_node(uint32_t index);
    bool writes_codes(const Node& node) const;

    const tenon_program& program_;
    const tenon_prepare& how_;
    Exec& exec_;
    std::vector<bool> codes_written_;    // of each value, by a phase so far
    std::vector<bool> feeds_attention_;  // of each value: q, k or v before their rotation
};

void Compiler::take_weight(Node& node, uint32_t port, uint32_t which) const {
    const WeightEntry& entry = exec_.weights->entries[exec_.values[node.in[port]].weight];
    const kernels::MatmulEntry& kernel =
        *exec_.device->kernels.matmul[static_cast<size_t>(entry.layout.format)];
    node.weights[which] = &entry;
    if (node.op == TENON_OP_EMBED) return;
    // Scores are exponentiated: q, k and v from 8-bit activations cost more perplexity than all other
    // matmuls together (DECISIONS 0013).
    const bool fast = exec_.fast && kernel.fast != nullptr && !feeds_attention_[node.out[0]];
    if (which == 1 && fast != node.fast) {
        // Gate and up of different classes: both take the path that reads floats.
        node.fast = false;
        const auto other = static_cast<size_t>(node.weights[0]->layout.format);
        node.multiply[0] = exec_.device->kernels.matmul[other]->precise;
        node.multiply[1] = kernel.precise;
        return;
    }
    node.fast = fast;
    const bool rounds = exec_.fast && kernel.rounded != nullptr && !feeds_attention_[node.out[0]];
    node.multiply[which] = fast ? kernel.fast : rounds ? kernel.rounded : kernel.precise;
}

void Compiler::take_nodes(const std::vector<common::ProgramNode>& nodes) {
    feeds_attention_.assign(exec_.values.size(), false);
    for (const common::ProgramNode& node : nodes)
        for (uint32_t port = 0; port < 3 && node.op == TENON_OP_ROPE_KV_WRITE; ++port)
            if (node.in[port] != TENON_NONE) feeds_attention_[node.in[port]] = true;
    for (const common::ProgramNode& read : nodes) {
        Node node{read};
        if (node.op == TENON_OP_EMBED) take_weight(node, 0, 0);
        if (node.op == TENON_OP_MATMUL) take_weight(node, 1, 0);
        if (node.op == TENON_OP_MATMUL_GLU) {
            take_weight(node, 1, 0);
            take_weight(node, 2, 1);
        }
        exec_.nodes.push_back(node);
    }
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
        check.limit = exec_.kv->desc.n_blocks * exec_.kv->geometry.block_tokens;
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
    common::ReadProgram read;
    const common::ProgramParts parts =
        common::parts_of(exec_.weights, exec_.kv == nullptr ? nullptr : &exec_.kv->desc);
    TENON_SDK_CHECK(common::read_program(program_, how_, parts, read));
    static_cast<common::StepBounds&>(exec_) = std::move(read.bounds);
    for (const common::ProgramValue& value : read.values)
        exec_.values.push_back(Value{value});
    take_nodes(read.nodes);
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

}  // namespace

sdk::Status Impl::prepare(Device& device, const tenon_program& program, const tenon_prepare& how,
                          std::unique_ptr<Exec>& exec, tenon_exec_info& info) {
    auto made = std::make_unique<Exec>();
    made->device = &device;
    made->weights = Handles::get(how.weights);
    made->kv = Handles::get(how.kv);
    made->fast = how.compute == TENON_COMPUTE_FAST;
    made->profile = (how.flags & TENON_PREPARE_PROFILE) != 0;
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

}  // namespace tenon::cpu
