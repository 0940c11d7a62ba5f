#include "core/host/fallback_plan.h"

#include <fmt/format.h>

#include <cstring>
#include <string_view>

#include "core/base/bytes.h"

namespace tenon::host {
namespace {

constexpr size_t kListedMax = 8;

const tenon_node& node_at(const tenon_program& program, uint32_t index) noexcept {
    return *reinterpret_cast<const tenon_node*>(reinterpret_cast<const char*>(program.nodes) +
                                                uint64_t{index} * program.node_stride);
}
const tenon_value& value_at(const tenon_program& program, uint32_t index) noexcept {
    return *reinterpret_cast<const tenon_value*>(reinterpret_cast<const char*>(program.values) +
                                                 uint64_t{index} * program.value_stride);
}
const tenon_symbol& symbol_at(const tenon_program& program, uint32_t index) noexcept {
    return *reinterpret_cast<const tenon_symbol*>(reinterpret_cast<const char*>(program.symbols) +
                                                  uint64_t{index} * program.symbol_stride);
}

uint64_t element_bytes(uint32_t dtype) noexcept {
    switch (dtype) {
        case TENON_I8:
        case TENON_U8:
        case TENON_F8_E4M3:
        case TENON_F8_E5M2: return 1;
        case TENON_F16:
        case TENON_BF16: return 2;
        case TENON_I64:
        case TENON_U64:
        case TENON_F64: return 8;
        default: return 4;
    }
}

// Bytes of a value with every symbol at its largest; 0 when that does not fit 64 bits.
uint64_t bytes_max(const tenon_program& program, const tenon_value& value) noexcept {
    CheckedSize bytes(element_bytes(value.dtype));
    for (uint32_t d = 0; d < value.rank && d < TENON_MAX_RANK; ++d) {
        const tenon_dim& dim = value.dims[d];
        int64_t extent = dim.add;
        if (dim.symbol < program.n_symbols) {
            int64_t scaled = 0;
            if (__builtin_mul_overflow(symbol_at(program, dim.symbol).max, int64_t{dim.mul},
                                       &scaled) ||
                __builtin_add_overflow(scaled, dim.add, &extent)) {
                return 0;
            }
        }
        if (extent < 0) return 0;
        bytes = bytes * static_cast<uint64_t>(extent);
    }
    return bytes.ok() ? bytes.value() : 0;
}

std::string name_of(const tenon_program& program, uint32_t index) {
    const tenon_str name = node_at(program, index).name;
    if (name.p == nullptr || name.n == 0) return fmt::format("node {}", index);
    return fmt::format("node {} ({})", index, printable({name.p, name.n}, 64));
}

std::string reason_of(const tenon_verdict& verdict) {
    const std::string text(verdict.reason, strnlen(verdict.reason, sizeof verdict.reason));
    return text.empty() ? "The backend gave no reason." : printable(text, sizeof verdict.reason);
}

// ", 0.31 ms as measured"; empty when nobody measured.
std::string cost_of(uint64_t bytes, double ns_per_byte) {
    if (ns_per_byte <= 0) return {};
    return fmt::format(", {:.2g} ms as measured", static_cast<double>(bytes) * ns_per_byte * 1e-6);
}

// Bytes that node `index` moves: values that it reads or writes and that live on another device.
uint64_t bytes_across(const tenon_program& program, uint32_t index,
                      const std::vector<NodePlacement>& nodes,
                      const std::vector<uint32_t>& producer,
                      const std::vector<bool>& read_elsewhere) {
    const tenon_node& node = node_at(program, index);
    const uint32_t here = nodes[index].device;
    uint64_t bytes = 0;
    for (uint32_t k = 0; k < node.n_inputs; ++k) {
        const uint32_t value = node.inputs[k];
        if (value >= program.n_values) continue;
        const uint32_t kind = value_at(program, value).kind;
        if (kind == TENON_VALUE_WEIGHT || kind == TENON_VALUE_KV || kind == TENON_VALUE_STATE)
            continue;
        const uint32_t from = producer[value] == TENON_NONE ? 0 : nodes[producer[value]].device;
        if (from != here) bytes += bytes_max(program, value_at(program, value));
    }
    for (uint32_t k = 0; k < node.n_outputs; ++k) {
        const uint32_t value = node.outputs[k];
        if (value < program.n_values && read_elsewhere[value]) {
            bytes += bytes_max(program, value_at(program, value));
        }
    }
    return bytes;
}

void count_moves(const tenon_program& program, FallbackPlan* plan) {
    std::vector<uint32_t> producer(program.n_values, TENON_NONE);
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        const tenon_node& node = node_at(program, i);
        for (uint32_t k = 0; k < node.n_outputs; ++k) {
            if (node.outputs[k] < program.n_values) producer[node.outputs[k]] = i;
        }
    }
    // A value that leaves a foreign device is counted with the node that made it.
    std::vector<bool> read_elsewhere(program.n_values, false);
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        const tenon_node& node = node_at(program, i);
        for (uint32_t k = 0; k < node.n_inputs; ++k) {
            const uint32_t value = node.inputs[k];
            if (value >= program.n_values || producer[value] == TENON_NONE) continue;
            const uint32_t from = plan->nodes[producer[value]].device;
            if (from != 0 && from != plan->nodes[i].device) read_elsewhere[value] = true;
        }
    }
    for (uint32_t v = 0; v < program.n_values; ++v) {
        if (value_at(program, v).kind == TENON_VALUE_OUTPUT && producer[v] != TENON_NONE &&
            plan->nodes[producer[v]].device != 0) {
            read_elsewhere[v] = true;
        }
    }
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        if (plan->nodes[i].kind != NodePlacement::Kind::kOtherDevice) continue;
        plan->nodes[i].bytes_moved =
            bytes_across(program, i, plan->nodes, producer, read_elsewhere);
        plan->bytes_moved += plan->nodes[i].bytes_moved;
    }
}

void partition(FallbackPlan* plan) {
    for (uint32_t i = 0; i < plan->nodes.size(); ++i) {
        const uint32_t device = plan->nodes[i].device;
        if (plan->partitions.empty() || plan->partitions.back().device != device) {
            plan->partitions.push_back({device, i, 0});
        }
        ++plan->partitions.back().n_nodes;
    }
}

}  // namespace

Result<Fallback> parse_fallback(std::string_view text) {
    if (text == "error") return Fallback::kError;
    if (text == "warn") return Fallback::kWarn;
    if (text == "allow") return Fallback::kAllow;
    return Error{Code::kConfig,
                 fmt::format("fallback is '{}', wanted error, warn or allow.", printable(text))};
}

std::vector<bool> FallbackPlan::decompose() const {
    std::vector<bool> chosen;
    for (const NodePlacement& node : nodes) {
        chosen.push_back(node.kind == NodePlacement::Kind::kDecomposed);
    }
    return chosen;
}

bool FallbackPlan::needs_rewrite() const noexcept {
    for (const NodePlacement& node : nodes) {
        if (node.kind == NodePlacement::Kind::kDecomposed) return true;
    }
    return false;
}

std::vector<std::string> FallbackPlan::report(const tenon_program& program,
                                              const OtherDeviceNote& other) const {
    std::vector<std::string> lines;
    for (const NodePlacement& node : nodes) {
        const std::string name = name_of(program, node.node);
        switch (node.kind) {
            case NodePlacement::Kind::kDecomposed:
                lines.push_back(fmt::format("{} runs as its parts: {}", name, node.reason));
                break;
            case NodePlacement::Kind::kOtherDevice:
                lines.push_back(fmt::format(
                    "{} runs on {} and moves up to {} bytes a step{}: {}", name, other.name,
                    node.bytes_moved, cost_of(node.bytes_moved, other.ns_per_byte), node.reason));
                break;
            default: break;
        }
    }
    return lines;
}

Result<FallbackPlan> plan_fallback(const tenon_program& program,
                                   std::span<const std::vector<tenon_verdict>> verdicts,
                                   Fallback policy, const CanDecompose& can_decompose) {
    if (verdicts.empty()) return Error{Code::kInternal, "No device was asked about the program."};
    for (const std::vector<tenon_verdict>& answers : verdicts) {
        if (answers.size() != program.n_nodes) {
            return Error{Code::kInternal, fmt::format("A device gave {} verdicts for {} nodes.",
                                                      answers.size(), program.n_nodes)};
        }
        for (uint32_t i = 0; i < program.n_nodes; ++i) {
            if (answers[i].kind < TENON_VERDICT_NATIVE || answers[i].kind > TENON_VERDICT_NO) {
                return Error{Code::kInternal,
                             fmt::format("A device's verdict of {} is {}, which is none.",
                                         name_of(program, i), answers[i].kind)};
            }
        }
    }
    FallbackPlan plan;
    std::vector<std::string> refused;
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        NodePlacement place;
        place.node = i;
        const tenon_verdict& first = verdicts[0][i];
        if (first.kind != TENON_VERDICT_NO) {
            const bool fused = first.kind == TENON_VERDICT_FUSED;
            place.kind = fused ? NodePlacement::Kind::kFused : NodePlacement::Kind::kNative;
            place.group = fused ? first.group : 0;
            plan.nodes.push_back(std::move(place));
            continue;
        }
        place.reason = reason_of(first);
        if (can_decompose && can_decompose(i)) {
            place.kind = NodePlacement::Kind::kDecomposed;
        } else if (policy != Fallback::kError) {
            for (uint32_t d = 1; d < verdicts.size(); ++d) {
                if (verdicts[d][i].kind == TENON_VERDICT_NO) continue;
                place.kind = NodePlacement::Kind::kOtherDevice;
                place.device = d;
                break;
            }
        }
        if (place.kind == NodePlacement::Kind::kRefused) {
            refused.push_back(fmt::format("{}: {}", name_of(program, i), place.reason));
        }
        plan.nodes.push_back(std::move(place));
    }
    if (!refused.empty()) {
        std::string text =
            fmt::format("{} of {} nodes cannot run", refused.size(), program.n_nodes);
        text +=
            policy == Fallback::kError ? " on this device (fallback: error). " : " on any device. ";
        for (size_t i = 0; i < refused.size() && i < kListedMax; ++i) {
            text += (i == 0 ? "" : " ") + refused[i];
        }
        if (refused.size() > kListedMax) {
            text += fmt::format(" And {} more.", refused.size() - kListedMax);
        }
        return Error{Code::kUnsupported, std::move(text)};
    }
    count_moves(program, &plan);
    if (!plan.needs_rewrite()) partition(&plan);
    return plan;
}

}  // namespace tenon::host
