// Checked access to the metadata and tensors of a model file, below its architecture's prefix.
#pragma once

#include "core/formats/gguf.h"
#include "core/model/model.h"

#include <string>
#include <string_view>
#include <vector>

namespace tenon::model {

// Reads keys "<architecture>.<name>" of one file. A view: the file must outlive it.
class Metadata {
public:
    Metadata(const formats::GgufFile& file, std::string_view architecture)
        : file_(file), architecture_(architecture) {}

    const formats::GgufFile& file() const noexcept { return file_; }
    const std::string& architecture() const noexcept { return architecture_; }
    // "<architecture>.<name>", as messages name it.
    std::string key(std::string_view name) const { return architecture_ + "." + std::string(name); }

    // A count that must be there, 1 .. max.
    Result<uint32_t> count(std::string_view name, uint32_t max) const;
    // The same, or `fallback` when the key is absent.
    Result<uint32_t> count_or(std::string_view name, uint32_t max, uint32_t fallback) const;
    // 0 .. max, where 0 means the same as an absent key: none.
    Result<uint32_t> count_or_none(std::string_view name, uint32_t max) const;
    // A finite number above zero that must be there, or `fallback` when the key is absent.
    Result<float> positive(std::string_view name) const;
    Result<float> positive_or(std::string_view name, float fallback) const;
    // The same, where a stored 0 means `fallback` too.
    Result<float> positive_or_none(std::string_view name, float fallback) const;
    // A string, or "" when the key is absent.
    Result<std::string> text_or_empty(std::string_view name) const;
    // One truth for each of `n` layers: stored so, or as a period whose last layer is false; an
    // absent key is the period `fallback`.
    Result<std::vector<bool>> layers(std::string_view name, uint32_t n, uint32_t fallback) const;
    // pooling_type: 1 mean, 2 first, 3 last; absent or 0 (none named): last, as a decoder's is.
    Result<tenon_pool_kind> pooling() const;
    bool has(std::string_view name) const;

    // The weight `name` with exactly this shape; rows is 1 for vectors.
    Result<WeightSpec> weight(const std::string& name, int64_t rows, int64_t cols, uint32_t uses,
                              uint32_t fuse_group = TENON_NONE) const;
    // A vector of `n` numbers, decoded.
    Result<std::vector<float>> floats(const std::string& name, uint32_t n) const;
    bool has_tensor(const std::string& name) const;

private:
    const formats::GgufFile& file_;
    std::string architecture_;
};

}  // namespace tenon::model
