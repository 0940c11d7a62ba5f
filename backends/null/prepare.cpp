#include "backends/common/program_reader.h"

#include "null_backend.h"

namespace tenon::null_backend {

sdk::Status Impl::query(Device&, const tenon_program& program, uint32_t,
                        sdk::Strided<tenon_verdict> verdicts) {
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        const tenon_node& node = sdk::node_at(program, i);
        // Reserved numbers have no meaning yet, so even doing nothing for them would be a guess.
        if (node.op >= TENON_OP_EMBED && node.op <= TENON_OP_POOL_ROWS && node.op_version == 0) {
            sdk::set_verdict(verdicts[i], TENON_VERDICT_NATIVE, 0, "");
        } else {
            const sdk::Status why = sdk::fail(TENON_UNSUPPORTED, "Op %u version %u is not known.",
                                              node.op, node.op_version);
            sdk::set_verdict(verdicts[i], TENON_VERDICT_NO, 0, why.message());
        }
    }
    return {};
}

sdk::Status Impl::prepare(Device& device, const tenon_program& program, const tenon_prepare& how,
                          std::unique_ptr<Exec>& exec, tenon_exec_info& info) {
    std::vector<tenon_verdict> verdicts(program.n_nodes);
    const sdk::Strided<tenon_verdict> places(verdicts.data(), program.n_nodes,
                                             sizeof(tenon_verdict));
    TENON_SDK_CHECK(query(device, program, how.compute, places));
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        if (verdicts[i].kind == TENON_VERDICT_NO) {
            return sdk::fail(TENON_UNSUPPORTED, "%s", verdicts[i].reason).at_node(i);
        }
    }
    auto made = std::make_unique<Exec>();
    const Weights* weights = Handles::get(how.weights);
    common::ProgramParts parts;
    parts.kv = how.kv == nullptr ? nullptr : &Handles::get(how.kv)->desc;
    if (weights != nullptr) {
        TENON_SDK_CHECK(common::check_measured(how, weights->measured));
        parts.weights_finished = weights->finished;
        parts.weights.resize(weights->n_entries);
    }
    TENON_SDK_CHECK(common::read_step_bounds(program, how, *made));
    for (uint32_t i = 0; i < program.n_values; ++i) {
        const tenon_value& value = sdk::value_at(program, i);
        TENON_SDK_CHECK(common::check_source(value, i, parts));
        if (value.kind != TENON_VALUE_OUTPUT) continue;
        common::BoundValue output = common::bound_value(value);
        output.optional = true;
        if (output.element_bytes == 0)
            return sdk::fail(TENON_UNSUPPORTED, "Value %u has element type %u.", i, value.dtype);
        made->bound.push_back(output);
    }
    made->n_nodes = program.n_nodes;
    made->profile = (how.flags & TENON_PREPARE_PROFILE) != 0;
    info.flags = TENON_EXEC_REPLAYABLE | TENON_EXEC_DETERMINISTIC;
    info.n_phases = 0;
    info.scratch_bytes = 0;
    exec = std::move(made);
    return {};
}

sdk::Status Impl::exec_profile(Exec& exec, sdk::Strided<tenon_node_time> times, uint32_t& count) {
    if (!exec.profile) {
        return sdk::fail(TENON_UNSUPPORTED, "The program was prepared without PREPARE_PROFILE.");
    }
    const uint32_t places = times.count() < exec.n_nodes ? times.count() : exec.n_nodes;
    for (uint32_t i = 0; i < places; ++i)
        times[i] = {i, 0, 0};  // no node does anything
    count = exec.n_nodes;
    return {};
}

}  // namespace tenon::null_backend
