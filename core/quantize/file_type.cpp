#include "core/quantize/file_type.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace tenon::quantize {

namespace {

using enum Role;
using enum When;

constexpr MixtureRule kQ2K[] = {{kOutput, kAlways, "q6_k"},
                                {kAttnV, kEightExperts, "q8_0"},
                                {kAttnK, kEightExperts, "q8_0"},
                                {kAttnV, kSharedHeads, "q4_k"},
                                {kAttnV, kAlways, "q3_k"},
                                {kFfnDown, kAlways, "q3_k"},
                                {kAttnOutput, kEightExperts, "q5_k"},
                                {kAttnOutput, kAlways, "q3_k"}};
constexpr MixtureRule kQ2KS[] = {{kOutput, kAlways, "q6_k"},
                                 {kAttnV, kEightExperts, "q8_0"},
                                 {kAttnK, kEightExperts, "q8_0"},
                                 {kAttnV, kSharedHeads, "q4_k"},
                                 {kFfnDown, kFirstEighth, "q4_k"}};
constexpr MixtureRule kQ3KS[] = {{kOutput, kAlways, "q6_k"},
                                 {kAttnV, kEightExperts, "q8_0"},
                                 {kAttnK, kEightExperts, "q8_0"},
                                 {kAttnOutput, kEightExperts, "q5_k"}};
constexpr MixtureRule kQ3KM[] = {
    {kOutput, kAlways, "q6_k"},      {kAttnV, kEightExperts, "q8_0"},
    {kAttnK, kEightExperts, "q8_0"}, {kAttnV, kFirstTwo, "q5_k"},
    {kAttnV, kAlways, "q4_k"},       {kFfnDown, kFirstSixteenth, "q5_k"},
    {kFfnDown, kAlways, "q4_k"},     {kAttnOutput, kEightExperts, "q5_k"},
    {kAttnOutput, kAlways, "q4_k"}};
constexpr MixtureRule kQ3KL[] = {
    {kOutput, kAlways, "q6_k"},      {kAttnV, kEightExperts, "q8_0"},
    {kAttnK, kEightExperts, "q8_0"}, {kAttnV, kAlways, "q5_k"},
    {kFfnDown, kAlways, "q5_k"},     {kAttnOutput, kEightExperts, "q3_k"},
    {kAttnOutput, kAlways, "q5_k"}};
constexpr MixtureRule kQ4KS[] = {
    {kOutput, kAlways, "q6_k"},       {kAttnV, kEightExperts, "q8_0"},
    {kAttnK, kEightExperts, "q8_0"},  {kAttnV, kFirstFour, "q5_k"},
    {kFfnDown, kFirstEighth, "q5_k"}, {kAttnOutput, kEightExperts, "q5_k"}};
constexpr MixtureRule kQ4KM[] = {
    {kOutput, kAlways, "q6_k"},      {kAttnV, kEightExperts, "q8_0"},
    {kAttnK, kEightExperts, "q8_0"}, {kAttnV, kMoreBits, "q6_k"},
    {kFfnDown, kMoreBits, "q6_k"},   {kAttnOutput, kEightExperts, "q5_k"}};
constexpr MixtureRule kQ5KM[] = {{kOutput, kAlways, "q6_k"},
                                 {kAttnV, kEightExperts, "q8_0"},
                                 {kAttnK, kEightExperts, "q8_0"},
                                 {kAttnV, kMoreBits, "q6_k"},
                                 {kFfnDown, kMoreBits, "q6_k"}};
constexpr MixtureRule kIQ4[] = {
    {kOutput, kAlways, "q6_k"},       {kAttnV, kEightExperts, "q8_0"},
    {kAttnK, kEightExperts, "q8_0"},  {kAttnV, kSharedHeads, "q5_k"},
    {kFfnDown, kFirstEighth, "q5_k"}, {kAttnOutput, kEightExperts, "q5_k"}};
constexpr MixtureRule kTernary[] = {{kOutput, kAlways, "q6_k"},
                                    {kEmbedding, kAlways, "q4_k"},
                                    {kAttnV, kEightExperts, "q8_0"},
                                    {kAttnK, kEightExperts, "q8_0"}};
constexpr MixtureRule kPlain[] = {
    {kOutput, kAlways, "q6_k"}, {kAttnV, kEightExperts, "q8_0"}, {kAttnK, kEightExperts, "q8_0"}};
constexpr MixtureRule kMXFP4[] = {{kOutput, kAlways, "q8_0"}, {kOther, kExpertTensor, "mxfp4"}};

constexpr std::array kFileTypes{
    FileType{"f32", 0, "f32", {}},
    FileType{"f16", 1, "f16", {}},
    FileType{"bf16", 32, "bf16", {}},
    FileType{"q4_0", 2, "q4_0", kPlain},
    FileType{"q4_1", 3, "q4_1", kPlain},
    FileType{"q5_0", 8, "q5_0", kPlain},
    FileType{"q5_1", 9, "q5_1", kPlain},
    FileType{"q8_0", 7, "q8_0", {}},
    FileType{"q2_k", 10, "q2_k", kQ2K},
    FileType{"q2_k_s", 21, "q2_k", kQ2KS},
    FileType{"q3_k_s", 11, "q3_k", kQ3KS},
    FileType{"q3_k_m", 12, "q3_k", kQ3KM},
    FileType{"q3_k_l", 13, "q3_k", kQ3KL},
    FileType{"q4_k_s", 14, "q4_k", kQ4KS},
    FileType{"q4_k_m", 15, "q4_k", kQ4KM},
    FileType{"q5_k_s", 16, "q5_k", kPlain},
    FileType{"q5_k_m", 17, "q5_k", kQ5KM},
    FileType{"q6_k", 18, "q6_k", kPlain},
    FileType{"iq4_nl", 25, "iq4_nl", kIQ4},
    FileType{"iq4_xs", 30, "iq4_xs", kIQ4},
    FileType{"tq1_0", 36, "tq1_0", kTernary},
    FileType{"tq2_0", 37, "tq2_0", kTernary},
    FileType{"mxfp4_moe", 38, "q8_0", kMXFP4},
};

struct Pair {
    std::string_view from, to;
};
constexpr Pair kAliases[] = {{"q3_k", "q3_k_m"}, {"q4_k", "q4_k_m"}, {"q5_k", "q5_k_m"}};
constexpr Pair kFallbacks[] = {{"iq4_xs", "iq4_nl"}, {"q2_k", "q4_0"},  {"q3_k", "q4_0"},
                               {"tq1_0", "q4_0"},    {"tq2_0", "q4_0"}, {"q4_k", "q5_0"},
                               {"q5_k", "q5_1"},     {"q6_k", "q8_0"}};

struct NamedRole {
    std::string_view part;
    Role role;
};
constexpr NamedRole kRoles[] = {
    {"attn_qkv.weight", kAttnV}, {"attn_kv_b.weight", kAttnV}, {"attn_v.weight", kAttnV},
    {"attn_k.weight", kAttnK},   {"attn_q.weight", kAttnQ},    {"attn_output.weight", kAttnOutput},
    {"ffn_up", kFfnUp},          {"ffn_gate", kFfnGate},       {"ffn_down", kFfnDown},
};

bool applies(When when, const ModelFacts& model, const TensorFacts& tensor) noexcept {
    const uint32_t i = tensor.index, n = tensor.count;
    switch (when) {
        case kAlways: return true;
        case kFirstTwo: return i < 2;
        case kFirstFour: return i < 4;
        case kFirstEighth: return i < n / 8;
        case kFirstSixteenth: return i < n / 16;
        case kMoreBits: return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
        case kSharedHeads: return model.heads_per_kv_head >= 4;
        case kEightExperts: return model.experts == 8;
        case kExpertTensor: return tensor.is_expert;
    }
    return false;
}

}  // namespace

Role role_of(std::string_view name, bool is_tied) noexcept {
    if (name == "output.weight") return kOutput;
    if (name == "token_embd.weight" || name == "per_layer_token_embd.weight")
        return is_tied ? kOutput : kEmbedding;
    for (const NamedRole& entry : kRoles)
        if (name.find(entry.part) != std::string_view::npos) return entry.role;
    return kOther;
}

std::span<const FileType> file_types() noexcept { return kFileTypes; }

const FileType* find_file_type(std::string_view name) noexcept {
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string_view wanted = lower;
    for (const Pair& alias : kAliases)
        if (alias.from == wanted) wanted = alias.to;
    for (const FileType& type : kFileTypes)
        if (type.name == wanted) return &type;
    return nullptr;
}

std::string_view fallback_of(std::string_view format) noexcept {
    for (const Pair& pair : kFallbacks)
        if (pair.from == format) return pair.to;
    return {};
}

std::string_view choose_format(const FileType& type, const ModelFacts& model,
                               const TensorFacts& tensor) noexcept {
    std::string_view format = type.format;
    for (const MixtureRule& rule : type.rules) {
        const bool any_role = rule.when == kExpertTensor;
        if ((rule.role != tensor.role && !any_role) || !applies(rule.when, model, tensor)) continue;
        format = rule.format;
        break;
    }
    if (model.is_70b && tensor.role == kAttnV && (format == "q3_k" || format == "q4_k"))
        return "q5_k";
    return format;
}

}  // namespace tenon::quantize
