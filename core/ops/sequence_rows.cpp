#include "core/ops/sequence_rows.h"

#include <fmt/format.h>

namespace tenon::ops {

Result<Dim> sequences_of(const NodeView& node, uint32_t port) {
    TENON_CHECK(node.expect_type(port, TENON_I32, 1));
    Dim sequences = node.dim(port, 0);
    sequences.add -= 1;
    return sequences;
}

Status check_q_start(const RunArgs& args, const HostArray& q_start, int64_t tokens) {
    int64_t last = 0;
    for (int64_t s = 0; s < q_start.dims[0]; ++s) {
        const int64_t start = q_start.i32()[s];
        if (start < last || start > tokens || (s == 0 && start != 0)) {
            return args.node.error(fmt::format(
                "q_start[{}] is {}; it must start at 0, never fall and end at most at {} tokens", s,
                start, tokens));
        }
        last = start;
    }
    return {};
}

}  // namespace tenon::ops
