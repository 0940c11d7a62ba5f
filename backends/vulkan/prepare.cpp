#include <algorithm>
#include <cstring>

#include "backends/common/temporaries.h"
#include "backends/vulkan/builder.h"
#include "backends/vulkan/recorder.h"
#include "backends/vulkan/warm_up.h"
#include "shaders/include/step.h"

namespace tenon::vulkan {
namespace {

// Turns the program into dispatches; one object per prepare.
class Compiler {
public:
    Compiler(const tenon_program& program, const tenon_prepare& how, Exec& exec)
        : program_(program), how_(how), exec_(exec) {}

    sdk::Status compile();

private:
    void take_nodes(const std::vector<common::ProgramNode>& nodes);
    void take_weight(Node& node, uint32_t weight_port, uint32_t which) const;
    void add_scratch(Node& node);
    void find_lifetimes();
    sdk::Status take_bucket(uint32_t bucket);
    sdk::Status take_memory();

    const tenon_program& program_;
    const tenon_prepare& how_;
    Exec& exec_;
};

void Compiler::take_weight(Node& node, uint32_t port, uint32_t which) const {
    node.weights[which] = &exec_.weights->entries[exec_.values[node.in[port]].weight];
}

// Gate and up of two layouts take two dispatches, with the first product between them.
void Compiler::add_scratch(Node& node) {
    if (node.op != TENON_OP_MATMUL_GLU || node.weights[0]->layout == node.weights[1]->layout)
        return;
    Value value = exec_.values[node.out[0]];
    value.kind = TENON_VALUE_TEMP;
    node.scratch = static_cast<uint32_t>(exec_.values.size());
    exec_.values.push_back(value);
}

void Compiler::take_nodes(const std::vector<common::ProgramNode>& nodes) {
    for (const common::ProgramNode& read : nodes) {
        Node node{read};
        if (node.op == TENON_OP_EMBED) take_weight(node, 0, 0);
        if (node.op == TENON_OP_MATMUL) take_weight(node, 1, 0);
        if (node.op == TENON_OP_MATMUL_GLU) {
            take_weight(node, 1, 0);
            take_weight(node, 2, 1);
        }
        add_scratch(node);
        exec_.nodes.push_back(node);
    }
}

void Compiler::find_lifetimes() {
    for (uint32_t i = 0; i < exec_.nodes.size(); ++i) {
        const auto touch = [&](uint32_t id) {
            if (id == TENON_NONE) return;
            Value& v = exec_.values[id];
            v.first_node = std::min(v.first_node, i);
            v.last_node = std::max(v.last_node, i);
        };
        for (uint32_t id : exec_.nodes[i].in)
            touch(id);
        for (uint32_t id : exec_.nodes[i].out)
            touch(id);
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
    for (const auto& bucket : exec_.dispatches)
        dispatches = std::max(dispatches, bucket.size());
    exec_.step_words = static_cast<uint32_t>(dispatches) * STEP_DISPATCH_WORDS;
    for (auto& bucket : exec_.dispatches)
        for (Dispatch& d : bucket)
            std::memcpy(d.push + sizeof(uint32_t), &exec_.step_words, sizeof(uint32_t));
    exec_.image_bytes =
        common::round_up((exec_.step_words + STEP_ERROR_WORDS) * sizeof(uint32_t), kPlaceAlign);
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
    common::ReadProgram read;
    const common::ProgramParts parts =
        common::parts_of(exec_.weights, exec_.kv == nullptr ? nullptr : &exec_.kv->desc);
    TENON_SDK_CHECK(common::read_program(program_, how_, parts, read));
    static_cast<common::StepBounds&>(exec_) = std::move(read.bounds);
    for (const common::ProgramValue& value : read.values)
        exec_.values.push_back(Value{value});
    take_nodes(read.nodes);
    find_lifetimes();
    plan_memory(exec_);
    exec_.dispatches.resize(exec_.n_buckets);
    exec_.recordings.resize(exec_.n_buckets);
    for (auto& bucket : exec_.recordings)
        bucket.reserve(kRecordingsMax);
    for (uint32_t b = 0; b < exec_.n_buckets; ++b)
        TENON_SDK_CHECK(take_bucket(b));
    return take_memory();
}

}  // namespace

sdk::Status Impl::prepare(Device& device, const tenon_program& program, const tenon_prepare& how,
                          std::unique_ptr<Exec>& exec, tenon_exec_info& info) {
    auto made = std::make_unique<Exec>();
    made->device = &device;
    made->weights = Handles::get(how.weights);
    made->kv = Handles::get(how.kv);
    made->coarse =
        how.compute == TENON_COMPUTE_FAST && (how.flags & TENON_PREPARE_DETERMINISTIC) == 0;
    made->profile = (how.flags & TENON_PREPARE_PROFILE) != 0;
    if (made->profile && device.features.timestamp_bits == 0)
        return sdk::fail(TENON_UNSUPPORTED, "This device has no timestamps in its compute queue.");
    TENON_SDK_CHECK(Compiler(program, how, *made).compile());
    if (!made->measured) TENON_SDK_CHECK(warm_up(*made));
    device.pipelines.save();
    uint64_t phases = 0;
    for (const auto& bucket : made->dispatches)
        phases = std::max<uint64_t>(phases, bucket.size());
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

}  // namespace tenon::vulkan
