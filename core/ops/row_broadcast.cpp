#include "core/ops/row_broadcast.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kA, kB };

}  // namespace

Result<std::vector<ValueType>> infer_row_broadcast(const NodeView& node) {
    TENON_CHECK(node.expect_type(kA, TENON_F32, node.input(kA).rank));
    TENON_CHECK(node.expect_type(kB, TENON_F32, node.input(kB).rank));
    if (node.input(kB).rank == 1) {
        TENON_CHECK(node.expect_equal(kA, node.input(kA).rank - 1, kB, 0));
    } else {
        TENON_CHECK(node.expect_same_shape(kA, kB));
    }
    return std::vector<ValueType>{{TENON_F32, node.dims(kA)}};
}

}  // namespace tenon::ops
