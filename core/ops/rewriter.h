// Copies a program into a new one, node by node: whole, in parts, or only some of it.
//
// Values follow as nodes need them. Borrows the program; one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/ops/node_view.h"
#include "core/ops/program.h"

namespace tenon::ops {

class Rewriter {
public:
    explicit Rewriter(const tenon_program& program);

    // Value `value`, which no copied node makes, is what slot `slot` holds.
    void take_from_slot(uint32_t value, uint32_t slot);
    // Value `value`, once a copied node made it, is left in slot `slot`.
    void leave_in_slot(uint32_t value, uint32_t slot);
    // From here on a weight's entry is its place in `entries`, a list of old entries that grows as
    // new ones are met. Borrowed until build().
    void number_weights(std::vector<uint32_t>* entries) { entries_ = entries; }

    // The node as it is.
    void keep(const NodeView& view);
    // The node's parts. kUnsupported when the op has none.
    Status split(const NodeView& view);

    Program build() { return to_.build(); }

private:
    ValueId moved(uint32_t value);
    void made(uint32_t value, ValueId as);
    std::vector<ValueId> inputs_of(const NodeView& view);
    uint32_t entry_of(uint32_t weight);

    const tenon_program& program_;
    ProgramBuilder to_;
    std::vector<ValueId> moved_;     // value of program_ -> value of to_
    std::vector<uint32_t> left_in_;  // slot of each value, or TENON_NONE
    std::vector<uint32_t>* entries_ = nullptr;
};

}  // namespace tenon::ops
