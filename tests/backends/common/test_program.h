// A program of the ABI written down by hand: values and nodes that a test may spoil one field at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <vector>

#include <tenon/plugin.hpp>

namespace tenon::common {

class TestProgram {
public:
    // At most 1000 of symbol 0 in any bucket.
    TestProgram() { symbol.max = 1000; }

    // A value of the given extents; a first extent of -1 is symbol 0. Returns its number.
    uint32_t value(uint32_t kind, std::initializer_list<int64_t> extents,
                   uint32_t dtype = TENON_F32) {
        tenon_value v{};
        v.size = sizeof v;
        v.kind = kind;
        v.dtype = dtype;
        v.rank = static_cast<uint32_t>(extents.size());
        uint32_t d = 0;
        for (int64_t extent : extents) {
            v.dims[d].symbol = extent < 0 ? 0 : TENON_NONE;
            v.dims[d].mul = extent < 0 ? 1 : 0;
            v.dims[d].add = extent < 0 ? 0 : extent;
            ++d;
        }
        v.slot = kind == TENON_VALUE_INPUT || kind == TENON_VALUE_OUTPUT ? slots++ : TENON_NONE;
        v.weight = kind == TENON_VALUE_WEIGHT ? weights++ : TENON_NONE;
        values.push_back(v);
        return static_cast<uint32_t>(values.size() - 1);
    }

    tenon_node& node(uint32_t op, std::initializer_list<uint32_t> inputs,
                     std::initializer_list<uint32_t> outputs, const void* attrs = nullptr) {
        ports.emplace_back(inputs);
        tenon_node n{};
        n.size = sizeof n;
        n.op = op;
        n.attrs = attrs;
        n.n_inputs = static_cast<uint32_t>(inputs.size());
        n.inputs = ports.back().data();
        ports.emplace_back(outputs);
        n.n_outputs = static_cast<uint32_t>(outputs.size());
        n.outputs = ports.back().data();
        nodes.push_back(n);
        return nodes.back();
    }

    // Borrows this object.
    tenon_program view() const {
        tenon_program p{};
        p.size = sizeof p;
        p.nodes = nodes.data();
        p.n_nodes = static_cast<uint32_t>(nodes.size());
        p.node_stride = sizeof(tenon_node);
        p.values = values.data();
        p.n_values = static_cast<uint32_t>(values.size());
        p.value_stride = sizeof(tenon_value);
        p.symbols = &symbol;
        p.n_symbols = 1;
        p.symbol_stride = sizeof(tenon_symbol);
        p.n_slots = slots;
        return p;
    }

    std::vector<tenon_value> values;
    std::vector<tenon_node> nodes;
    std::deque<std::vector<uint32_t>> ports;
    tenon_symbol symbol{};
    uint32_t slots = 0;
    uint32_t weights = 0;
};

}  // namespace tenon::common
