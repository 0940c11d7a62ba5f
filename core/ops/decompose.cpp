#include "core/ops/decompose.h"

#include "core/ops/rewriter.h"

namespace tenon::ops {

Result<Program> decompose_nodes(const tenon_program& program, const std::vector<bool>& chosen) {
    Rewriter rewriter(program);
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        const NodeView view(program, node_at(program, i));
        if (chosen[i]) {
            TENON_CHECK(rewriter.split(view));
        } else {
            rewriter.keep(view);
        }
    }
    return rewriter.build();
}

}  // namespace tenon::ops
