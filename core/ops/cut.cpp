#include "core/ops/cut.h"

#include "core/ops/rewriter.h"

namespace tenon::ops {

Program cut_nodes(const tenon_program& program, uint32_t first, uint32_t count,
                  const std::vector<uint32_t>& slots, std::vector<uint32_t>* entries) {
    std::vector<bool> made(program.n_values, false), read(program.n_values, false);
    for (uint32_t i = first; i < first + count; ++i) {
        const tenon_node& node = node_at(program, i);
        for (uint32_t port = 0; port < node.n_inputs; ++port) {
            if (node.inputs[port] != TENON_NONE) read[node.inputs[port]] = true;
        }
        for (uint32_t port = 0; port < node.n_outputs; ++port) {
            if (node.outputs[port] != TENON_NONE) made[node.outputs[port]] = true;
        }
    }
    Rewriter rewriter(program);
    rewriter.number_weights(entries);
    for (uint32_t value = 0; value < program.n_values; ++value) {
        const tenon_value& from = value_at(program, value);
        const uint32_t slot = from.kind == TENON_VALUE_OUTPUT ? from.slot : slots[value];
        if (slot == TENON_NONE) continue;
        if (made[value]) {
            rewriter.leave_in_slot(value, slot);
        } else if (read[value]) {
            rewriter.take_from_slot(value, slot);
        }
    }
    for (uint32_t i = first; i < first + count; ++i)
        rewriter.keep(NodeView(program, node_at(program, i)));
    return rewriter.build();
}

}  // namespace tenon::ops
