// Checked access to the metadata and tensors of a model file, below its architecture's prefix.
#pragma once

#include "core/formats/gguf.h"
#include "core/model/model.h"

#include <string>
#include <string_view>

namespace tenon::model {

// Reads keys "<architecture>.<name>" of one file. A view: the file must outlive it.
class Metadata {
public:
    Metadata(const formats::GgufFile& file, std::string_view architecture)
        : file_(file), architecture_(architecture) {}

    // A count that must be there, 1 .. max.
    Result<uint32_t> count(std::string_view name, uint32_t max) const;
    // The same, or `fallback` when the key is absent.
    Result<uint32_t> count_or(std::string_view name, uint32_t max, uint32_t fallback) const;
    // A finite number above zero, or `fallback` when the key is absent.
    Result<float> positive_or(std::string_view name, float fallback) const;
    // A string, or "" when the key is absent.
    Result<std::string> text_or_empty(std::string_view name) const;
    // pooling_type: 1 mean, 2 first, 3 last; absent or 0 (none named): last, as a decoder's is.
    Result<tenon_pool_kind> pooling() const;
    bool has(std::string_view name) const;

    // The weight `name` with exactly this shape; rows is 1 for vectors.
    Result<WeightSpec> weight(const std::string& name, int64_t rows, int64_t cols, uint32_t uses,
                              uint32_t fuse_group = TENON_NONE) const;
    bool has_tensor(const std::string& name) const;

private:
    std::string key(std::string_view name) const { return architecture_ + "." + std::string(name); }

    const formats::GgufFile& file_;
    std::string architecture_;
};

}  // namespace tenon::model
