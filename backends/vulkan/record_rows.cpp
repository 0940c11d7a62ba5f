// Ops whose rows are independent: norms, elementwise ones, gathered and pooled rows.
#include "backends/vulkan/builder.h"
#include "shaders/elementwise/params.h"
#include "shaders/norm/params.h"
#include "shaders/rows/params.h"

namespace tenon::vulkan {
namespace {

// Invocations that share a row's columns.
uint32_t column_lanes(const Builder& b) noexcept { return b.features().gpu ? 64 : 8; }

// Floats of all but the first dimension as one row; a value of one dimension is a column of rows of 1.
Groups over_columns(uint64_t cols, uint32_t lanes, uint32_t per_lane) noexcept {
    return fixed_groups(cols, lanes * per_lane);
}

}  // namespace

sdk::Status record_norm(Builder& b) {
    const Node& node = b.node();
    const auto& attr = node.attr<tenon_attr_rms_norm>();
    const shaders::ShaderVariant* variant = nullptr;
    // One way of summing for all buckets: what a row gives does not depend on its company.
    if (!b.find("norm", "lanes", &variant).ok()) TENON_SDK_CHECK(b.find("norm", "plain", &variant));
    const bool lanes = variant->shared_bytes != 0;
    const uint32_t local = column_lanes(b);
    Draft draft(*variant);
    draft.constant(TENON_NORM_SPEC_LOCAL, local);
    const uint32_t y = node.out[0];
    draft.grid(b.rows_of(y), groups_over(b.rows_of(y), lanes ? 1 : local));
    b.read(draft, TENON_NORM_X, node.in[0]);
    b.read(draft, TENON_NORM_GAIN, node.in[1]);
    b.read(draft, TENON_NORM_RESIDUAL_AT, node.in[2]);
    b.write(draft, TENON_NORM_Y, y);
    b.write(draft, TENON_NORM_SUM_AT, node.out[1]);
    shaders::NormParams params{};
    params.cols = static_cast<uint32_t>(b.value(y).cols);
    params.flags = (node.in[2] != TENON_NONE ? TENON_NORM_RESIDUAL : 0u) |
                   (node.out[1] != TENON_NONE ? TENON_NORM_SUM : 0u);
    params.epsilon = attr.epsilon;
    params.gain_offset = attr.gain_offset;
    return b.add(std::move(draft), params);
}

sdk::Status record_elementwise(Builder& b) {
    const Node& node = b.node();
    const uint32_t y = node.out[0];
    uint64_t cols = b.value(y).cols;
    tenon_dim rows = b.rows_of(y);
    shaders::ElementwiseParams params{};
    uint32_t op = TENON_ELEMENTWISE_OP_ADD;
    uint32_t activation = TENON_ACT_NONE;
    switch (node.op) {
        case TENON_OP_ADD: break;
        case TENON_OP_MUL: op = TENON_ELEMENTWISE_OP_MUL; break;
        case TENON_OP_ACTIVATION:
            op = TENON_ELEMENTWISE_OP_ACTIVATION;
            activation = node.attr<tenon_attr_activation>().activation;
            break;
        default:
            op = TENON_ELEMENTWISE_OP_SOFTCAP;
            params.cap = node.attr<tenon_attr_softcap>().cap;
            break;
    }
    if (node.in[1] != TENON_NONE) {
        const Value& other = b.value(node.in[1]);
        if (other.rank == b.value(node.in[0]).rank) {
            params.b_stride = static_cast<uint32_t>(cols);
        } else {
            // One row of numbers for all rows: those of the last dimension.
            const auto width = static_cast<uint64_t>(b.rows_max(node.in[1])) * other.cols;
            if (width == 0 || cols % width != 0)
                return sdk::fail(TENON_INVALID, "Rows of %llu elements meet one of %llu.",
                                 static_cast<unsigned long long>(cols),
                                 static_cast<unsigned long long>(width));
            rows.mul *= static_cast<int32_t>(cols / width);
            rows.add *= static_cast<int64_t>(cols / width);
            cols = width;
        }
    }
    params.cols = static_cast<uint32_t>(cols);
    const shaders::ShaderVariant* variant = nullptr;
    TENON_SDK_CHECK(b.find("elementwise", "plain", &variant));
    // Where rows meet one row of numbers that is shorter than they are, dispatched rows are no rows of y.
    std::vector<Window> windows(1);
    const uint32_t whole_rows = params.b_stride != 0 ? node.in[1] : TENON_NONE;
    if (cols == b.value(y).cols) TENON_SDK_CHECK(b.cut_rows({y, node.in[0], whole_rows}, &windows));
    for (const Window& window : windows) {
        Draft draft(*variant);
        const uint32_t lanes = column_lanes(b);
        draft.constant(TENON_ELEMENTWISE_SPEC_LOCAL, lanes);
        draft.constant(TENON_ELEMENTWISE_SPEC_OP, op);
        draft.constant(TENON_ELEMENTWISE_SPEC_ACTIVATION, activation);
        const tenon_dim here = rows_in(rows, window);
        draft.grid(here, over_columns(cols, lanes, TENON_ELEMENTWISE_COLS),
                   groups_over(here, 1, window));
        draft.window(window);
        b.read_rows(draft, TENON_ELEMENTWISE_A, node.in[0], window);
        if (whole_rows != TENON_NONE) {
            b.read_rows(draft, TENON_ELEMENTWISE_B, whole_rows, window);
        } else {
            b.read(draft, TENON_ELEMENTWISE_B, node.in[1]);
        }
        b.write_rows(draft, TENON_ELEMENTWISE_Y, y, window);
        TENON_SDK_CHECK(b.add(std::move(draft), params));
    }
    return {};
}

sdk::Status record_rows(Builder& b) {
    const Node& node = b.node();
    const uint32_t y = node.out[0];
    const uint64_t cols = b.value(y).cols;
    const shaders::ShaderVariant* variant = nullptr;
    TENON_SDK_CHECK(b.find("rows", "plain", &variant));
    Draft draft(*variant);
    const uint32_t lanes = column_lanes(b);
    draft.constant(TENON_ROWS_SPEC_LOCAL, lanes);
    draft.constant(TENON_ROWS_SPEC_OP, node.op == TENON_OP_GATHER_ROWS
                                           ? TENON_ROWS_OP_GATHER
                                           : node.attr<tenon_attr_pool_rows>().kind);
    draft.grid(b.rows_of(y), over_columns(cols, lanes, TENON_ROWS_COLS), groups_over(b.rows_of(y)));
    draft.reports();
    b.read(draft, TENON_ROWS_X, node.in[0]);
    b.read(draft, TENON_ROWS_INDEX, node.in[1]);
    b.write(draft, TENON_ROWS_Y, y);
    shaders::RowsParams params{};
    params.source_word = b.extent_word(b.rows_of(node.in[0]));
    params.cols = static_cast<uint32_t>(cols);
    return b.add(std::move(draft), params);
}

}  // namespace tenon::vulkan
