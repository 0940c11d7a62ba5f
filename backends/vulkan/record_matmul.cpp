// MATMUL, MATMUL_GLU and EMBED: one dispatch for each slice of a packed weight.
#include <algorithm>
#include <string_view>

#include "backends/vulkan/builder.h"
#include "backends/vulkan/cooperative_tile.h"
#include "shaders/embed/params.h"
#include "shaders/matmul/params.h"

namespace tenon::vulkan {
namespace {

constexpr uint32_t kLoUnit = 16;    // bytes that lo_stride counts
constexpr uint32_t kWordBytes = 4;  // bytes that hi_stride and scale_stride count
constexpr uint32_t kManyRows = 4096;
constexpr uint32_t kManyColumns = 2048;
constexpr int64_t kFewTokens = 8;
constexpr uint64_t kFewGroups = 64;  // fewer than a GPU runs at once

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

// How a product is cut: a shader variant and its constants. No choice but that of cooperative matrices
// changes a bit of a result.
struct Tile {
    const shaders::ShaderVariant* variant = nullptr;
    uint32_t local = 0, rows = 0, tokens = 0;
    uint32_t team = 1;
    // Weight rows and tokens of a workgroup.
    uint32_t group_rows() const noexcept { return local / subgroup / team * rows * matrix.n; }
    uint32_t group_tokens() const noexcept { return tiled ? team * tokens * matrix.m : tokens; }
    bool tiled = false;
    uint32_t subgroup = 1;  // of the variant `cooperative`, and its matrices
    MatrixShape matrix = {1, 1, 1};
};

// An invocation for each few outputs.
Tile plain_tile(const Builder& b, int64_t tokens, uint32_t weight_rows, uint32_t sets) noexcept {
    const bool gpu = b.features().gpu;
    Tile tile;
    tile.local = gpu ? 64 : 8;
    tile.rows = 1;
    tile.tokens = tokens <= 1 ? 1 : tokens <= 2 ? 2 : tokens <= 4 ? 4 : 8;
    // On a processor every lane's load costs, and rows share those of x: 1, 4 and 8 rows take 55, 25
    // and 23 ms of SmolLM2-135M's token on two threads of lavapipe. Few rows need many groups.
    if (!gpu) tile.rows = tokens <= 1 && weight_rows >= kManyRows ? 8 : 4;
    if (gpu && tokens > 8) tile.rows = 4;
    if (sets == 2) tile.rows = (tile.rows + 1) / 2;
    if (gpu && weight_rows < tile.local * tile.rows) tile.rows = 1;
    return tile;
}

// Few tokens: neighbours share rows. Fewer invocations until shared memory is enough.
Tile columns_tile(const Builder& b, int64_t tokens, uint32_t cols, uint32_t sets) noexcept {
    Tile tile;
    tile.tokens = tokens <= 1 ? 1 : tokens <= 2 ? 2 : tokens <= 4 ? 4 : 8;
    tile.rows = (tile.tokens <= 4 ? 4 : 2) / sets;
    // Sixteen blocks at once are 512 columns.
    tile.team = tile.tokens <= 2 && cols >= kManyColumns ? 16 : 8;
    tile.local = 128;
    while (tile.local > tile.team &&
           shaders::matmul_columns_shared(tile.local, tile.team, sets, tile.rows, tile.tokens) >
               b.features().shared_bytes)
        tile.local /= 2;
    return tile;
}

// Many tokens: a workgroup shares a tile, smaller where that makes more workgroups.
Tile shared_tile(const Builder& b, int64_t tokens, uint32_t weight_rows, uint32_t sets) noexcept {
    Tile tile;
    tile.tiled = true;
    tile.tokens = 4;
    tile.rows = 8 / sets;
    tile.team = tokens <= 16 ? 4 : tokens <= 32 ? 8 : 16;
    tile.local = 8 * tile.team;
    const auto groups = [&] {
        return uint64_t{weight_rows} * static_cast<uint64_t>(tokens) /
               (uint64_t{tile.group_rows()} * tile.group_tokens());
    };
    if (groups() < kFewGroups) tile.rows = 4;
    while (tile.team > 4 && shaders::matmul_tile_shared(tile.local, tile.team, sets, tile.rows,
                                                        tile.tokens) > b.features().shared_bytes) {
        tile.team /= 2;
        tile.local /= 2;
    }
    return tile;
}

sdk::Status choose_tile(const Builder& b, int64_t tokens, uint32_t weight_rows, uint32_t cols,
                        uint32_t sets, Tile* tile) {
    const shaders::ShaderVariant* variant = matmul_variant(*b.exec().device, tokens);
    // Forced, and not for this product: see choose_matrices.
    if (variant != nullptr && (variant->requires_bits & shaders::kRequiresCoopmat) != 0)
        variant = nullptr;
    if (variant == nullptr) TENON_SDK_CHECK(b.find("matmul", "plain", &variant));
    const std::string_view name = variant->name;
    *tile = name == "columns" ? columns_tile(b, tokens, cols, sets)
            : name == "tile"  ? shared_tile(b, tokens, weight_rows, sets)
                              : plain_tile(b, tokens, weight_rows, sets);
    tile->variant = variant;
    return {};
}

// One product of x with a weight, and what is done to it.
struct Product {
    const WeightEntry* weight = nullptr;
    const WeightEntry* up = nullptr;  // OP_GLU
    uint32_t op = TENON_MATMUL_OP_PLAIN;
    uint32_t activation = TENON_ACT_NONE;
    uint32_t bias = TENON_NONE;
    uint32_t residual = TENON_NONE;  // OP_GATED: the first product
    uint32_t y = 0;
    float alpha = 1;
};

// Cooperative matrices, by which a row's bits depend on its neighbours. False where they may not be
// used, or would not pay.
bool choose_matrices(Builder& b, const Product& p, uint32_t weight_rows, Tile* tile) {
    const KernelTable& kernels = b.exec().device->kernels;
    const shaders::ShaderVariant* variant = kernels.named("matmul", "cooperative");
    if (variant == nullptr || !b.exec().coarse || p.weight->layout.cls == PackedClass::kFloat32)
        return false;
    const shaders::ShaderVariant* forced = kernels.forced("matmul");
    const int64_t tokens = b.rows_max(p.y);
    if (forced != variant &&
        (forced != nullptr || !b.features().gpu || tokens < kCooperativeTokensMin))
        return false;
    const CooperativeTile chosen =
        cooperative_tile(b.features(), tokens, weight_rows, p.op == TENON_MATMUL_OP_GLU ? 2 : 1);
    if (chosen.subgroups == 0) return false;
    tile->variant = variant;
    tile->subgroup = b.features().subgroup_size;
    tile->local = chosen.subgroups * tile->subgroup;
    tile->team = chosen.team;
    tile->rows = chosen.rows;
    tile->tokens = chosen.tokens;
    tile->matrix = b.features().matrix;
    tile->tiled = true;
    b.exec().deterministic = false;
    return true;
}

// Slice `s` of the weight for the tokens of a window.
sdk::Status record_slice(Builder& b, const Product& p, size_t s, const Window& window) {
    const uint32_t x = b.node().in[0];
    const bool glu = p.op == TENON_MATMUL_OP_GLU;
    const WeightSlice& slice = p.weight->slices[s];
    Tile tile;
    if (!choose_matrices(b, p, slice.rows, &tile))
        TENON_SDK_CHECK(choose_tile(b, std::min(b.rows_max(p.y), window.count), slice.rows,
                                    p.weight->cols, glu ? 2 : 1, &tile));
    Draft draft(*tile.variant);
    draft.constant(TENON_MATMUL_SPEC_LOCAL, tile.local);
    draft.constant(TENON_MATMUL_SPEC_ROWS, tile.rows);
    draft.constant(TENON_MATMUL_SPEC_TOKENS, tile.tokens);
    draft.constant(TENON_MATMUL_SPEC_TEAM, tile.team);
    draft.constant(TENON_MATMUL_SPEC_SUBGROUP, tile.subgroup);
    draft.constant(TENON_MATMUL_SPEC_MATRIX_TOKENS, tile.matrix.m);
    draft.constant(TENON_MATMUL_SPEC_MATRIX_ROWS, tile.matrix.n);
    draft.constant(TENON_MATMUL_SPEC_MATRIX_COLS, tile.matrix.k);
    draft.constant(TENON_MATMUL_SPEC_OP, p.op);
    draft.constant(TENON_MATMUL_SPEC_ACTIVATION, p.activation);
    draft.constant(TENON_MATMUL_SPEC_RAGGED, p.weight->cols % TENON_BLOCK_COLS != 0 ? 1u : 0u);
    decode(draft, p.weight->layout);
    const tenon_dim rows = rows_in(b.rows_of(p.y), window);
    draft.grid(rows, fixed_groups(slice.rows, tile.group_rows()),
               groups_over(rows, tile.group_tokens(), window));
    draft.window(window);
    b.read_rows(draft, TENON_MATMUL_X, x, window);
    b.write_rows(draft, TENON_MATMUL_Y, p.y, window);
    b.read(draft, TENON_MATMUL_BIAS_AT, p.bias);
    b.read_rows(draft, TENON_MATMUL_RESIDUAL_AT, p.residual, window);
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
    return b.add(std::move(draft), params);
}

sdk::Status record_product(Builder& b, const Product& p) {
    std::vector<Window> windows;
    TENON_SDK_CHECK(b.cut_rows({p.y, b.node().in[0], p.residual}, &windows));
    for (const Window& window : windows)
        for (size_t s = 0; s < p.weight->slices.size(); ++s)
            TENON_SDK_CHECK(record_slice(b, p, s, window));
    return {};
}

}  // namespace

const shaders::ShaderVariant* matmul_variant(const Device& device, int64_t tokens) noexcept {
    const KernelTable& kernels = device.kernels;
    const shaders::ShaderVariant* variant = kernels.forced("matmul");
    if (variant == nullptr && device.features.gpu)
        variant = kernels.named("matmul", tokens <= kFewTokens ? "columns" : "tile");
    return variant != nullptr ? variant : kernels.find("matmul", "plain");
}

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
    const uint32_t local = b.features().gpu ? 32 : 8;
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

}  // namespace tenon::vulkan
