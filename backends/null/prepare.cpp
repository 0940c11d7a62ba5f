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
    made->measured = (how.flags & TENON_PREPARE_MEASURE) != 0;
    if (weights != nullptr && weights->measured && !made->measured) {
        return sdk::fail(TENON_INVALID,
                         "The weight set was only measured; it serves PREPARE_MEASURE alone.");
    }
    for (uint32_t i = 0; i < program.n_values; ++i) {
        const tenon_value& value = sdk::value_at(program, i);
        if (value.kind == TENON_VALUE_WEIGHT &&
            (weights == nullptr || !weights->finished || value.weight >= weights->n_entries)) {
            return sdk::fail(TENON_INVALID, "Value %u names weight %u of a set of %u.", i,
                             value.weight, weights == nullptr ? 0 : weights->n_entries);
        }
        if (value.kind == TENON_VALUE_KV && how.kv == nullptr) {
            return sdk::fail(TENON_INVALID, "Value %u is a KV pool, but none is bound.", i);
        }
        if (value.kind != TENON_VALUE_OUTPUT) continue;
        Exec::Output output{};
        output.slot = value.slot;
        output.element_bytes = sdk::dtype_bytes(value.dtype);
        if (output.element_bytes == 0) {
            return sdk::fail(TENON_UNSUPPORTED, "Value %u has element type %u.", i, value.dtype);
        }
        output.rank = value.rank;
        for (uint32_t d = 0; d < value.rank; ++d) output.dims[d] = value.dims[d];
        made->outputs.push_back(output);
    }
    if (program.n_slots > kSlotsMax || program.n_symbols > kSymbolsMax) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "The program has %u slots and %u symbols, this backend takes %u and %u.",
                         program.n_slots, program.n_symbols, kSlotsMax, kSymbolsMax);
    }
    made->n_symbols = program.n_symbols;
    made->n_slots = program.n_slots;
    made->n_nodes = program.n_nodes;
    made->profile = (how.flags & TENON_PREPARE_PROFILE) != 0;
    for (uint32_t b = 0; b < how.n_buckets; ++b) {
        made->bucket_symbols.insert(made->bucket_symbols.end(), how.buckets[b].max,
                                    how.buckets[b].max + program.n_symbols);
    }
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
    for (uint32_t i = 0; i < places; ++i) times[i] = {i, 0, 0}; // no node does anything
    count = exec.n_nodes;
    return {};
}

} // namespace tenon::null_backend
