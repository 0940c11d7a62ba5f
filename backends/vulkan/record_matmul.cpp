// MATMUL, MATMUL_GLU and EMBED: one dispatch for each slice of a packed weight.
#include "backends/vulkan/builder.h"
#include "shaders/embed/params.h"
#include "shaders/matmul/params.h"

namespace tenon::vulkan {
namespace {

constexpr uint32_t kLoUnit = 16;   // bytes that lo_stride counts
constexpr uint32_t kWordBytes = 4; // bytes that hi_stride and scale_stride count
constexpr uint32_t kManyRows = 4096;

void decode(Draft& draft, const PackedLayout& layout) {
    const DecodeConstants constants = decode_constants(layout);
    for (uint32_t i = 0; i < TENON_DECODE_SPEC_COUNT; ++i)
        draft.constant(TENON_DECODE_SPEC_FIRST + i, constants.word[i]);
}

// Binds the planes of a slice: lo, hi and scale from binding `first` on.
void bind_planes(Draft& draft, const WeightSlice& slice, uint32_t first) {
    for (uint32_t plane = 0; plane < kPlanes; ++plane) {
        if (slice.plane_bytes[plane] == 0) continue;
        Place place;
        place.buffer = slice.memory.buffer();
        place.offset = slice.plane_at[plane];
        place.bytes = slice.plane_bytes[plane];
        draft.bind(first + plane, place, false);
    }
}

template <class Params>
void set_strides(Params& params, const WeightEntry& entry) noexcept {
    const PlaneBytes bytes = row_bytes(entry.layout, entry.cols);
    params.lo_stride = static_cast<uint32_t>(bytes.lo / kLoUnit);
    params.hi_stride = static_cast<uint32_t>(bytes.hi / kWordBytes);
    params.scale_stride = static_cast<uint32_t>(bytes.scale / kWordBytes);
    params.cols = entry.cols;
}

// Weight rows and tokens of one invocation, and invocations of a workgroup. No choice changes a bit
// of a result.
struct Tile {
    uint32_t local, rows, tokens;
};

Tile choose_tile(const Builder& b, int64_t tokens, uint32_t weight_rows, bool two_weights) noexcept {
    const bool cpu = b.features().kind == TENON_DEVICE_CPU;
    Tile tile{cpu ? 8u : 64u, 1, 1};
    tile.tokens = tokens <= 1 ? 1 : tokens <= 2 ? 2 : tokens <= 4 ? 4 : 8;
    // On a processor every lane's load costs, and rows share those of x: 1, 4 and 8 rows take 55, 25
    // and 23 ms of SmolLM2-135M's token on two threads of lavapipe. Few rows need many groups.
    if (cpu) tile.rows = tokens <= 1 && weight_rows >= kManyRows ? 8 : 4;
    if (!cpu && tokens > 8) tile.rows = 4;
    if (two_weights) tile.rows = (tile.rows + 1) / 2;
    if (!cpu && weight_rows < tile.local * tile.rows) tile.rows = 1;
    return tile;
}

// One product of x with a weight, and what is done to it.
struct Product {
    const WeightEntry* weight = nullptr;
    const WeightEntry* up = nullptr; // OP_GLU
    uint32_t op = TENON_MATMUL_OP_PLAIN;
    uint32_t activation = TENON_ACT_NONE;
    uint32_t bias = TENON_NONE;
    uint32_t residual = TENON_NONE; // OP_GATED: the first product
    uint32_t y = 0;
    float alpha = 1;
};

sdk::Status record_product(Builder& b, const Product& p) {
    const uint32_t x = b.node().in[0];
    const shaders::ShaderVariant* variant = nullptr;
    TENON_SDK_CHECK(b.find("matmul", "plain", &variant));
    const bool glu = p.op == TENON_MATMUL_OP_GLU;
    for (size_t s = 0; s < p.weight->slices.size(); ++s) {
        const WeightSlice& slice = p.weight->slices[s];
        const Tile tile = choose_tile(b, b.rows_max(p.y), slice.rows, glu);
        Draft draft(*variant);
        draft.constant(TENON_MATMUL_SPEC_LOCAL, tile.local);
        draft.constant(TENON_MATMUL_SPEC_ROWS, tile.rows);
        draft.constant(TENON_MATMUL_SPEC_TOKENS, tile.tokens);
        draft.constant(TENON_MATMUL_SPEC_OP, p.op);
        draft.constant(TENON_MATMUL_SPEC_ACTIVATION, p.activation);
        draft.constant(TENON_MATMUL_SPEC_RAGGED, p.weight->cols % TENON_BLOCK_COLS != 0 ? 1u : 0u);
        decode(draft, p.weight->layout);
        draft.grid(b.rows_of(p.y), fixed_groups(slice.rows, tile.local * tile.rows),
                   groups_over(b.rows_of(p.y), tile.tokens));
        b.read(draft, TENON_MATMUL_X, x);
        b.write(draft, TENON_MATMUL_Y, p.y);
        b.read(draft, TENON_MATMUL_BIAS_AT, p.bias);
        b.read(draft, TENON_MATMUL_RESIDUAL_AT, p.residual);
        bind_planes(draft, slice, TENON_MATMUL_LO);
        if (glu) bind_planes(draft, p.up->slices[s], TENON_MATMUL_UP_LO);
        shaders::MatmulParams params{};
        set_strides(params, *p.weight);
        params.rows = slice.rows;
        params.row_begin = slice.first_row;
        params.y_stride = p.weight->rows;
        params.x_stride = p.weight->cols;
        params.alpha = p.alpha;
        params.flags = (p.bias != TENON_NONE ? TENON_MATMUL_BIAS : 0u) |
                       (p.residual != TENON_NONE ? TENON_MATMUL_RESIDUAL : 0u);
        TENON_SDK_CHECK(b.add(std::move(draft), params));
    }
    return {};
}

} // namespace

sdk::Status record_matmul(Builder& b) {
    const Node& node = b.node();
    Product product;
    product.weight = node.weights[0];
    product.bias = node.in[2];
    product.residual = node.in[3];
    product.y = node.out[0];
    product.alpha = node.attr<tenon_attr_matmul>().alpha;
    return record_product(b, product);
}

sdk::Status record_glu(Builder& b) {
    const Node& node = b.node();
    Product product;
    product.weight = node.weights[0];
    product.y = node.out[0];
    if (node.scratch == TENON_NONE) {
        product.up = node.weights[1];
        product.op = TENON_MATMUL_OP_GLU;
        product.activation = node.attr<tenon_attr_matmul_glu>().activation;
        return record_product(b, product);
    }
    product.y = node.scratch;
    TENON_SDK_CHECK(record_product(b, product));
    product.weight = node.weights[1];
    product.op = TENON_MATMUL_OP_GATED;
    product.activation = node.attr<tenon_attr_matmul_glu>().activation;
    product.residual = node.scratch;
    product.y = node.out[0];
    return record_product(b, product);
}

sdk::Status record_embed(Builder& b) {
    const Node& node = b.node();
    const WeightEntry& table = *node.weights[0];
    const shaders::ShaderVariant* variant = nullptr;
    TENON_SDK_CHECK(b.find("embed", "plain", &variant));
    const uint32_t local = b.features().kind == TENON_DEVICE_CPU ? 8 : 32;
    for (const WeightSlice& slice : table.slices) {
        Draft draft(*variant);
        draft.constant(TENON_EMBED_SPEC_LOCAL, local);
        decode(draft, table.layout);
        const uint32_t y = node.out[0];
        draft.grid(b.rows_of(y), fixed_groups(table.cols, local * TENON_BLOCK_COLS),
                   groups_over(b.rows_of(y)));
        draft.reports();
        b.read(draft, TENON_EMBED_IDS, node.in[1]);
        b.write(draft, TENON_EMBED_Y, y);
        bind_planes(draft, slice, TENON_EMBED_LO);
        shaders::EmbedParams params{};
        set_strides(params, table);
        params.rows = slice.rows;
        params.row_begin = slice.first_row;
        params.table_rows = table.rows;
        params.scale = node.attr<tenon_attr_embed>().scale;
        TENON_SDK_CHECK(b.add(std::move(draft), params));
    }
    return {};
}

} // namespace tenon::vulkan
