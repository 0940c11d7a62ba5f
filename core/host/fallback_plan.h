// Which node of a program runs where, decided from what devices answered to query. Pure.
#pragma once

#include <tenon/abi.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace tenon::host {

// What may happen to a node that its device does not take: kError refuses the program; kWarn and
// kAllow let another device run it (kWarn is for the caller to print the report).
enum class Fallback { kError, kWarn, kAllow };

// "error", "warn" or "allow".
Result<Fallback> parse_fallback(std::string_view text);

struct NodePlacement {
    enum class Kind {
        kNative,       // runs as it is on device 0
        kFused,        // runs on device 0 as part of `group`
        kDecomposed,   // its parts run on device 0: rewrite the program, then query again
        kOtherDevice,  // runs on `device`
        kRefused,      // runs nowhere
    };
    uint32_t node = 0;
    Kind kind = Kind::kRefused;
    uint32_t group = 0;
    uint32_t device = 0;       // index into the verdicts given
    std::string reason;        // why not kNative or kFused; one sentence of the backend
    uint64_t bytes_moved = 0;  // kOtherDevice: bytes that cross devices for it in the largest step
};

// A run of consecutive nodes on one device.
struct Partition {
    uint32_t device = 0;
    uint32_t first_node = 0;
    uint32_t n_nodes = 0;
};

// How to speak of the other device.
struct OtherDeviceNote {
    std::string_view name = "another device";
    double ns_per_byte = 0;  // of carrying values there or back, as measured; 0: not known
};

struct FallbackPlan {
    std::vector<NodePlacement> nodes;     // one for each node of the program
    std::vector<Partition> partitions;    // in program order; empty while needs_rewrite()
    uint64_t bytes_moved = 0;             // over all nodes, in the largest step
    std::vector<bool> decompose() const;  // one for each node: what ops::decompose_nodes takes
    bool needs_rewrite() const noexcept;
    // One line for each node that is not native or fused; empty when there is none.
    std::vector<std::string> report(const tenon_program& program,
                                    const OtherDeviceNote& other = {}) const;
};

// Whether node `index` has a decomposition whose parts device 0 takes.
using CanDecompose = std::function<bool(uint32_t index)>;

// Plans `program` from the verdicts of each device, the one that was asked for first. The ladder of a
// node: native or fused on device 0; its parts on device 0; the first other device that takes it.
// Under kError a node that would leave device 0 is kUnsupported, under every policy one that nobody
// takes is; the message lists all such nodes with their reasons (at most 8, then a count).
// kInternal when a backend's verdicts are no legal answer.
Result<FallbackPlan> plan_fallback(const tenon_program& program,
                                   std::span<const std::vector<tenon_verdict>> verdicts,
                                   Fallback policy, const CanDecompose& can_decompose);

}  // namespace tenon::host
