// How an op becomes dispatches: record_*.cpp describe each dispatch to a Builder, which picks the
// shader variant, resolves values to places and makes the pipeline.
#pragma once

#include <cstring>
#include <initializer_list>
#include <vector>

#include "backends/vulkan/exec.h"

namespace tenon::vulkan {

// Rows [first, first + count) of values that are cut, so that each piece of each is bound alone.
struct Window {
    int64_t first = 0;
    int64_t count = INT64_MAX;  // beyond the last row there are none
};

// One dispatch being described.
class Draft {
public:
    explicit Draft(const shaders::ShaderVariant& variant) : variant_(&variant) {}
    const shaders::ShaderVariant& variant() const noexcept { return *variant_; }

    void constant(uint32_t id, uint32_t word) { constants_.push_back({id, word}); }
    // The same extent for `rows`, and groups that cover the given numbers.
    void grid(const tenon_dim& rows, const Groups& x, const Groups& y = {}, const Groups& z = {}) {
        dispatch_.rows = rows;
        dispatch_.groups[0] = x;
        dispatch_.groups[1] = y;
        dispatch_.groups[2] = z;
    }
    void bind(uint32_t binding, const Place& place, bool writes) {
        dispatch_.bindings.push_back({binding, place, writes});
    }
    // The dispatch has the window's rows alone; grid() was given them by rows_in().
    void window(const Window& window) noexcept { dispatch_.rows_most = window.count; }
    // The shader may write the error words.
    void reports() noexcept { dispatch_.reports = true; }

private:
    friend class Builder;
    const shaders::ShaderVariant* variant_;
    std::vector<SpecConstant> constants_;
    Dispatch dispatch_;
};

inline Groups fixed_groups(uint64_t count, uint32_t per) noexcept {
    return {{TENON_NONE, 0, static_cast<int64_t>(count)}, per, 1, INT64_MAX};
}
inline Groups groups_over(const tenon_dim& extent, uint32_t per = 1,
                          const Window& window = {}) noexcept {
    return {extent, per, 1, window.count};
}
// What a dimension of rows has from the window's first one on.
inline tenon_dim rows_in(tenon_dim rows, const Window& window) noexcept {
    rows.add -= window.first;
    return rows;
}

class Builder {
public:
    Builder(Exec& exec, uint32_t bucket) : exec_(exec), bucket_(bucket) {}

    Exec& exec() const noexcept { return exec_; }
    const Features& features() const noexcept { return exec_.device->features; }
    const Node& node() const noexcept { return exec_.nodes[node_]; }
    const Value& value(uint32_t id) const noexcept { return exec_.values[id]; }
    const tenon_dim& rows_of(uint32_t id) const noexcept { return exec_.values[id].dims[0]; }
    // Rows of a value at most, in this bucket.
    int64_t rows_max(uint32_t id) const noexcept;
    void begin_node(uint32_t node) noexcept { node_ = node; }

    // UNSUPPORTED when the device runs no variant for the purpose.
    sdk::Status find(const char* family, const char* purpose,
                     const shaders::ShaderVariant** variant) const;

    Place place(uint32_t value) const noexcept;
    Place memory(const Memory& memory, uint64_t bytes) const noexcept;
    Place plain_weight(uint32_t value) const noexcept;
    // Binds a value that the dispatch reads (or writes); TENON_NONE binds nothing.
    void read(Draft& draft, uint32_t binding, uint32_t value) const;
    void write(Draft& draft, uint32_t binding, uint32_t value) const;
    // As read and write, the window's rows alone.
    void read_rows(Draft& draft, uint32_t binding, uint32_t value, const Window& window) const;
    void write_rows(Draft& draft, uint32_t binding, uint32_t value, const Window& window) const;
    // Windows over the rows of values of as many rows, TENON_NONE apart, each within what a binding may
    // span and at an offset that it may have. UNSUPPORTED when the device binds too few rows for that.
    sdk::Status cut_rows(std::initializer_list<uint32_t> values,
                         std::vector<Window>* windows) const;
    // The word of the step buffer that will hold the extent of a dimension.
    uint32_t extent_word(const tenon_dim& dim);
    // Ends a draft. `params` begins with dispatch and step_words, which are filled in here.
    template <class Params>
    sdk::Status add(Draft&& draft, Params params) {
        static_assert(sizeof(Params) <= kPushBytesMax, "push constants");
        params.dispatch = static_cast<uint32_t>(exec_.dispatches[bucket_].size());
        std::memcpy(draft.dispatch_.push, &params, sizeof params);
        draft.dispatch_.push_bytes = sizeof params;
        return finish(std::move(draft));
    }

private:
    sdk::Status finish(Draft&& draft);
    Place place_rows(uint32_t value, const Window& window) const noexcept;

    Exec& exec_;
    uint32_t bucket_;
    uint32_t node_ = 0;
};

// Each adds the dispatches of the builder's node.
sdk::Status record_embed(Builder& b);
sdk::Status record_matmul(Builder& b);
sdk::Status record_glu(Builder& b);
sdk::Status record_norm(Builder& b);
sdk::Status record_elementwise(Builder& b);
sdk::Status record_rows(Builder& b);  // GATHER_ROWS, POOL_ROWS
sdk::Status record_rope(Builder& b);
sdk::Status record_attention(Builder& b);
sdk::Status record_sample(Builder& b);

}  // namespace tenon::vulkan
