// A program for people: as lines of text, or as a graph for dot.
#pragma once

#include <tenon/abi.h>

#include <functional>
#include <string>

namespace tenon::ops {

// Name of the stored format of a weight entry ("q4_1"), or empty when it is not known.
using WeightFormat = std::function<std::string(uint32_t entry)>;

// One line for each symbol, input and node, grouped by layer; a layer that repeats the one before
// it, but for its number, is one line. program passed verify_program.
std::string program_text(const tenon_program& program, const WeightFormat& format = {});

// Graphviz: nodes as boxes, grouped by layer; edges carry shapes. `dot -Tsvg` draws it.
std::string program_dot(const tenon_program& program, const WeightFormat& format = {});

}  // namespace tenon::ops
