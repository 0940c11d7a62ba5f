// What the names of file types mean: "q4_k_m" is a format and a list of tensors that get another.
// Numbers, names and mixtures are those of llama-quantize, so that a name means the same file
// everywhere; as data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tenon::quantize {

// What a weight is for, by its name.
enum class Role : uint8_t {
    kOutput,     // logits; a tied embedding too
    kEmbedding,  // of a model with an output of its own
    kAttnQ,
    kAttnK,
    kAttnV,  // and fused ones that hold it
    kAttnOutput,
    kFfnGate,
    kFfnUp,
    kFfnDown,
    kOther,
};

Role role_of(std::string_view tensor_name, bool is_tied) noexcept;

// Which tensors of a role a rule is for. "First" counts layers among those of the role.
enum class When : uint8_t {
    kAlways,
    kFirstTwo,
    kFirstFour,
    kFirstEighth,
    kFirstSixteenth,
    kMoreBits,      // the first and last eighth, and every third layer between
    kSharedHeads,   // four query heads or more to a key head
    kEightExperts,  // the model has just that many
    kExpertTensor,  // the tensor holds the matrices of several experts
};

struct MixtureRule {
    Role role;
    When when;
    std::string_view format;
};

struct FileType {
    std::string_view name;               // "q4_k_m"
    uint32_t number;                     // general.file_type
    std::string_view format;             // of weights that no rule is for
    std::span<const MixtureRule> rules;  // the first that fits
};

std::span<const FileType> file_types() noexcept;
// Any case; "q4_k" is q4_k_m as llama-quantize has it. Null when there is no such type.
const FileType* find_file_type(std::string_view name) noexcept;

// What a weight becomes whose columns are no multiple of a format's block; empty: nothing listed.
std::string_view fallback_of(std::string_view format) noexcept;

// Facts of the model that rules ask for.
struct ModelFacts {
    uint32_t layers = 0;
    uint32_t experts = 0;
    uint32_t heads_per_kv_head = 1;
    bool is_70b = false;  // 80 layers with shared heads: its narrow attn_v gets more bits
};

// A tensor as rules see it.
struct TensorFacts {
    Role role = Role::kOther;
    uint32_t index = 0;  // among the tensors of its role, by layer
    uint32_t count = 0;  // of these
    bool is_expert = false;
};

// The format that the file type gives a weight, before its shape is looked at.
std::string_view choose_format(const FileType& type, const ModelFacts& model,
                               const TensorFacts& tensor) noexcept;

}  // namespace tenon::quantize
