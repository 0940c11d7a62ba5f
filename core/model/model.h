// A model: its sizes, the weights it needs and the step-program it runs. Knows no device.
#pragma once

#include "core/base/result.h"
#include "core/ops/program.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tenon::formats {
class GgufFile;
struct GgufTensor;
}  // namespace tenon::formats

namespace tenon::model {

// What the rest of the engine needs to know of a model.
struct ModelConfig {
    std::string architecture;     // as the file names it
    std::string name;             // general.name, or empty
    uint32_t vocab_size = 0;      // width of the logits
    uint32_t context_length = 0;  // positions it was trained for
    uint32_t hidden_size = 0;
    uint32_t layers = 0;
    uint32_t q_heads = 0;
    uint32_t kv_heads = 0;
    uint32_t dim_k = 0;
    uint32_t dim_v = 0;
    tenon_pool_kind pooling = TENON_POOL_LAST;  // how its embeddings are pooled
};

// One entry of the weight set, in entry order.
struct WeightSpec {
    std::string name;
    uint32_t uses = 0;                 // tenon_weight_use flags
    uint32_t fuse_group = TENON_NONE;  // weights of one phase share a number
    int64_t rows = 0;
    int64_t cols = 0;
    const formats::GgufTensor* stored = nullptr;  // in the file, from its row stored_row on, or
    int64_t stored_row = 0;
    std::vector<float> computed;  // made by the model: rows * cols values

    // What is stored of it: rows of `stored`; empty when it is computed.
    std::span<const std::byte> stored_bytes() const noexcept;
};

// Upper bounds of a step, and how it ends. Every program has the symbols T (tokens), S (sequences)
// and L (logit rows), in this order.
struct StepShape {
    int64_t tokens_max = 0;
    int64_t sequences_max = 0;
    int64_t logits_max = 0;
    int64_t blocks_per_sequence = 0;
    enum class End {
        kLogits,           // kLogits
        kSample,           // kSampled
        kSampleAndLogits,  // kSampled, and kLogits of the same rows
        kEmbedding,        // kEmbedding: no head, no logit rows
    } end = End::kLogits;
    int64_t context = 0;  // positions of a sequence at most; 0: what the model was trained for
};

// Immutable once loaded; the file that it was loaded from must outlive it. Thread-compatible.
class Model {
public:
    virtual ~Model() = default;

    const ModelConfig& config() const noexcept { return config_; }
    const std::vector<WeightSpec>& weights() const noexcept { return weights_; }

    // A program over the slots of step_slots.h and the weights of weights(), by index.
    virtual ops::Program build_step(const StepShape& shape) const = 0;

protected:
    ModelConfig config_;
    std::vector<WeightSpec> weights_;
};

}  // namespace tenon::model
