#include "core/ops/print.h"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <vector>

#include "core/base/bytes.h"
#include "core/ops/op.h"

namespace tenon::ops {
namespace {

std::string name_of(tenon_str text) { return printable(text_of(text)); }

std::string replaced(std::string text, const std::string& from, std::string_view to) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

// "blk.3.attn_q" -> "blk.#.attn_q", and names of the layer before likewise: what makes two layers
// comparable.
std::string without_layer(std::string text, uint32_t layer) {
    text = replaced(std::move(text), fmt::format(".{}.", layer), ".#.");
    return layer == 0 || layer == TENON_NONE
               ? text
               : replaced(std::move(text), fmt::format(".{}.", layer - 1), ".#-1.");
}

constexpr const char* kActivations[] = {"none", "silu", "gelu_tanh", "gelu_erf"};

// Attributes that are not what nearly every program has.
std::string attributes_text(const NodeView& view) {
    std::string out;
    const auto add = [&](const char* name, auto value) {
        out += fmt::format(", {}: {}", name, value);
    };
    const auto add_activation = [&](uint32_t kind) {
        add("activation", kind < std::size(kActivations) ? kActivations[kind] : "unknown");
    };
    switch (view.node().op) {
        case TENON_OP_EMBED:
            if (const float scale = view.attr<tenon_attr_embed>().scale; scale != 1)
                add("scale", scale);
            break;
        case TENON_OP_ROPE_KV_WRITE:
            if (const float mscale = view.attr<tenon_attr_rope_kv_write>().mscale; mscale != 1)
                add("mscale", mscale);
            break;
        case TENON_OP_PAGED_ATTN:
            if (const int32_t window = view.attr<tenon_attr_paged_attn>().window; window > 0)
                add("window", window);
            if (const float cap = view.attr<tenon_attr_paged_attn>().softcap; cap > 0)
                add("softcap", cap);
            break;
        case TENON_OP_MATMUL_GLU:
            if (const uint32_t kind = view.attr<tenon_attr_matmul_glu>().activation;
                kind != TENON_ACT_SILU)
                add_activation(kind);
            break;
        case TENON_OP_ACTIVATION:
            add_activation(view.attr<tenon_attr_activation>().activation);
            break;
        case TENON_OP_SOFTCAP: add("cap", view.attr<tenon_attr_softcap>().cap); break;
        default: break;
    }
    return out;
}

class Printer {
public:
    Printer(const tenon_program& program, const WeightFormat& format)
        : program_(program), format_(format) {
        for (uint32_t i = 0; i < program.n_nodes; ++i) {
            const NodeView view(program, node_at(program, i));
            for (uint32_t port = 0; port < view.node().n_outputs; ++port) {
                if (view.has_output(port)) writer_[view.node().outputs[port]] = i;
            }
        }
    }

    std::string text() const {
        std::string out = fmt::format("program: {} nodes, {} values, {} slots\n", program_.n_nodes,
                                      program_.n_values, program_.n_slots);
        for (uint32_t i = 0; i < program_.n_symbols; ++i) {
            const tenon_symbol& symbol = symbol_at(program_, i);
            out += fmt::format("  symbol {} <= {}\n", name_of(symbol.name), symbol.max);
        }
        for (uint32_t i = 0; i < program_.n_values; ++i) {
            const tenon_value& value = value_at(program_, i);
            if (value.kind != TENON_VALUE_INPUT) continue;
            out += fmt::format("  input  {} {} slot {}\n", name_of(value.name),
                               type_text(program_, value), value.slot);
        }
        std::string last;
        uint32_t repeats = 0;
        const auto end_repeats = [&] {
            if (repeats > 0)
                out += fmt::format("\n  ... {} more layers like the one above\n", repeats);
            repeats = 0;
        };
        for (uint32_t begin = 0; begin < program_.n_nodes;) {
            const uint32_t layer = node_at(program_, begin).layer;
            uint32_t end = begin;
            std::string lines;
            while (end < program_.n_nodes && node_at(program_, end).layer == layer) {
                lines += node_line(end++);
            }
            begin = end;
            const std::string shape = without_layer(lines, layer);
            if (layer != TENON_NONE && shape == last) {
                ++repeats;
                continue;
            }
            end_repeats();
            out += layer == TENON_NONE ? "\n" : fmt::format("\nlayer {}\n", layer);
            out += lines;
            last = layer == TENON_NONE ? "" : shape;
        }
        end_repeats();
        return out;
    }

    std::string dot() const {
        std::string out =
            "digraph program {\n  rankdir=TB;\n  node [shape=box, fontname=\"monospace\"];\n";
        auto to = std::back_inserter(out);
        for (uint32_t i = 0; i < program_.n_values; ++i) {
            const tenon_value& value = value_at(program_, i);
            if (value.kind == TENON_VALUE_INPUT) {
                fmt::format_to(to, "  v{} [shape=ellipse, label=\"{}\\n{}\"];\n", i,
                               label(value.name), type_text(program_, value));
            }
            if (value.kind == TENON_VALUE_KV) {
                fmt::format_to(to, "  v{} [shape=cylinder, label=\"KV pool\"];\n", i);
            }
        }
        for (uint32_t i = 0; i < program_.n_nodes; ++i) {
            const NodeView view(program_, node_at(program_, i));
            std::string text =
                fmt::format("{}\\n{}", find_op(view.node().op)->name, label(view.node().name));
            for (uint32_t port = 0; port < view.node().n_inputs; ++port) {
                if (view.has(port) && view.input(port).kind == TENON_VALUE_WEIGHT) {
                    text += "\\n" + weight_text(view.input(port), label(view.input(port).name));
                }
            }
            const uint32_t layer = view.node().layer;
            const bool grouped = layer != TENON_NONE;
            if (grouped) {
                fmt::format_to(to, "  subgraph cluster_{} {{ label=\"layer {}\"; ", layer, layer);
            }
            fmt::format_to(to, "  n{} [label=\"{}\"];{}\n", i, text, grouped ? " }" : "");
            for (uint32_t port = 0; port < view.node().n_inputs; ++port) {
                if (!view.has(port) || view.input(port).kind == TENON_VALUE_WEIGHT) continue;
                const uint32_t value = view.node().inputs[port];
                const auto from = writer_.find(value);
                if (from == writer_.end()) {
                    fmt::format_to(to, "  v{} -> n{};\n", value, i);
                } else {
                    fmt::format_to(to, "  n{} -> n{} [label=\"{}\"];\n", from->second, i,
                                   type_text(program_, view.input(port)));
                }
            }
            for (uint32_t port = 0; port < view.node().n_outputs; ++port) {
                if (!view.has_output(port) || view.output(port).kind != TENON_VALUE_OUTPUT)
                    continue;
                const uint32_t value = view.node().outputs[port];
                fmt::format_to(to, "  v{} [shape=ellipse, label=\"{}\\n{}\"];\n  n{} -> v{};\n",
                               value, label(view.output(port).name),
                               type_text(program_, view.output(port)), i, value);
            }
        }
        return out + "}\n";
    }

private:
    // Safe between the quotes of a dot label; printable() leaves no control byte.
    static std::string label(tenon_str text) {
        std::string out;
        for (const char c : name_of(text)) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        return out;
    }

    std::string weight_text(const tenon_value& value, const std::string& name) const {
        const std::string format = format_ ? format_(value.weight) : std::string();
        std::string type = type_text(program_, value);
        if (!format.empty()) type = format + type.substr(type.find('['));
        return fmt::format("{} {}", name, type);
    }

    std::string operand(const tenon_value& value) const {
        if (value.kind == TENON_VALUE_WEIGHT) return weight_text(value, name_of(value.name));
        return name_of(value.name);
    }

    std::string node_line(uint32_t index) const {
        const NodeView view(program_, node_at(program_, index));
        std::string results;
        for (uint32_t port = 0; port < view.node().n_outputs; ++port) {
            if (!view.has_output(port)) continue;
            const tenon_value& value = view.output(port);
            results += fmt::format("{}{} {}", results.empty() ? "" : ", ", name_of(value.name),
                                   type_text(program_, value));
            if (value.kind == TENON_VALUE_OUTPUT) results += fmt::format(" slot {}", value.slot);
        }
        const OpDef& op = *find_op(view.node().op);
        std::string operands;
        for (uint32_t port = 0; port < op.inputs.size(); ++port) {
            if (!view.has(port)) continue;
            const std::string tag =
                op.inputs[port].optional ? fmt::format("{}: ", op.inputs[port].name) : "";
            operands +=
                fmt::format("{}{}{}", operands.empty() ? "" : ", ", tag, operand(view.input(port)));
        }
        return fmt::format("  {} = {}({}{})\n", results, op.name, operands, attributes_text(view));
    }

    const tenon_program& program_;
    const WeightFormat& format_;
    std::map<uint32_t, uint32_t> writer_;  // value -> node
};

}  // namespace

std::string program_text(const tenon_program& program, const WeightFormat& format) {
    return Printer(program, format).text();
}

std::string program_dot(const tenon_program& program, const WeightFormat& format) {
    return Printer(program, format).dot();
}

}  // namespace tenon::ops
