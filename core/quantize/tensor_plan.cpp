#include "core/quantize/tensor_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include <fnmatch.h>

#include "core/base/bytes.h"

namespace tenon::quantize {

namespace {

using formats::FormatTable;
using formats::GgufFile;
using formats::GgufTensor;
using formats::StoredFormat;

// Parts of names of matrices that stay as they are: small, or used element by element.
constexpr std::string_view kKept[] = {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "attn_rel_b.weight",
    "position_embd",
    "token_types.weight",
    ".patch_embd",
    ".patch_merger",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
};
// Formats that may be the source of another: nothing, or next to nothing, was lost in them.
constexpr std::string_view kSources[] = {"f32", "f16", "bf16", "q8_0"};

struct Override {
    std::string pattern;
    const StoredFormat* format;
    bool was_used;
};

bool is_weight(const GgufTensor& tensor) {
    uint32_t dims = tensor.dim_count;
    while (dims > 1 && tensor.dims[dims - 1] == 1)
        --dims;
    if (dims < 2 || !tensor.name.ends_with("weight")) return false;
    return std::none_of(std::begin(kKept), std::end(kKept), [&](std::string_view part) {
        return tensor.name.find(part) != std::string_view::npos;
    });
}

bool fits(const Override& entry, std::string_view name) {
    if (entry.pattern.find_first_of("*?[") == std::string::npos)
        return name.find(entry.pattern) != std::string_view::npos;
    return fnmatch(entry.pattern.c_str(), std::string(name).c_str(), 0) == 0;
}

// The layer in "blk.12.attn_v.weight"; -1 where a name has none.
int layer_of(std::string_view name) {
    int layer = -1;
    if (name.starts_with("blk."))
        std::from_chars(name.data() + 4, name.data() + name.size(), layer);
    return layer;
}

ModelFacts facts_of(const GgufFile& file) {
    ModelFacts facts;
    const Result<std::string_view> name = file.get_string_or("general.architecture", "");
    const std::string prefix(name.ok() ? *name : "");
    const auto number = [&](const char* key, uint32_t fallback) {
        const Result<uint32_t> value = file.get_u32_or(fmt::format("{}.{}", prefix, key), fallback);
        return value.ok() ? *value : fallback;  // a list per layer: rules ask for one number
    };
    facts.layers = number("block_count", 0);
    facts.experts = number("expert_count", 0);
    const uint32_t heads = number("attention.head_count", 1);
    const uint32_t kv_heads = number("attention.head_count_kv", heads);
    facts.heads_per_kv_head = kv_heads > 0 ? heads / kv_heads : 1;
    facts.is_70b =
        facts.layers == 80 && heads != kv_heads && (prefix == "llama" || prefix == "qwen2");
    return facts;
}

class Planner {
public:
    Planner(const GgufFile& file, const FormatTable& table, const Request& request)
        : file_(file), table_(table), request_(request) {}

    Result<Plan> run() {
        TENON_CHECK(read_request());
        const bool is_tied = file_.find_tensor("output.weight") == nullptr;
        const ModelFacts model = facts_of(file_);
        // Rules count tensors by layer, whatever their order in the file.
        const std::span<const GgufTensor> tensors = file_.tensors();
        std::vector<size_t> order(tensors.size());
        std::iota(order.begin(), order.end(), size_t{0});
        std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
            return layer_of(tensors[a].name) < layer_of(tensors[b].name);
        });
        uint32_t values = 0;
        for (const GgufTensor& tensor : tensors)
            values += role_of(tensor.name, is_tied) == Role::kAttnV ? 1 : 0;
        uint32_t counters[static_cast<size_t>(Role::kOther) + 1] = {};
        plan_.tensors.resize(tensors.size());
        for (const size_t i : order) {
            const GgufTensor& tensor = tensors[i];
            TensorPlan& plan = plan_.tensors[i];
            plan.tensor = &tensor;
            plan.target = tensor.format;
            plan.is_copied = true;
            if (tensor.format == nullptr)
                return Error{
                    Code::kUnsupported,
                    fmt::format("tensor {} has a type that is not read", printable(tensor.name))};
            if (!is_weight(tensor)) continue;
            if (const StoredFormat* asked = override_of(tensor.name)) {
                plan.target = asked;
            } else if (type_ == nullptr || request_.pure || type_->rules.empty()) {
                plan.target = base_;
            } else {
                TensorFacts facts;
                facts.role = role_of(tensor.name, is_tied);
                uint32_t& counter = counters[static_cast<size_t>(facts.role)];
                facts.index = model.experts > 1 && layer_of(tensor.name) >= 0
                                  ? static_cast<uint32_t>(layer_of(tensor.name))
                                  : counter;
                ++counter;
                facts.count = facts.role == Role::kAttnV ? values : model.layers;
                facts.is_expert = tensor.dims[2] > 1;
                // An output that the base format does not fit is kept well, whatever the rules say.
                const bool odd_output =
                    facts.role == Role::kOutput && tensor.cols() % base_->format.block_elems != 0;
                TENON_TRY(plan.target,
                          find(odd_output ? "q8_0" : choose_format(*type_, model, facts)));
            }
            TENON_CHECK(fit_shape(plan));
            plan.is_copied = plan.target == tensor.format;
            TENON_CHECK(check_source(plan));
        }
        for (const Override& entry : overrides_)
            if (!entry.was_used)
                return Error{Code::kInvalid,
                             fmt::format("--tensor-type {}={}: no weight has such a name",
                                         entry.pattern, entry.format->name)};
        return std::move(plan_);
    }

private:
    Status read_request() {
        type_ = find_file_type(request_.format);
        const std::string_view base = type_ != nullptr ? type_->format : request_.format;
        // "q4_k" names both a format and, as everywhere, the mixture around it; pure means the
        // first.
        TENON_TRY(base_, find(base));
        if (type_ != nullptr) {
            plan_.file_type = type_->number;
            plan_.has_file_type = true;
        }
        for (const std::string& text : request_.overrides) {
            const size_t sign = text.rfind('=');
            if (sign == std::string::npos || sign == 0)
                return Error{Code::kInvalid,
                             fmt::format("--tensor-type {}: expected PATTERN=FORMAT", text)};
            TENON_TRY(const StoredFormat* format, find(text.substr(sign + 1)));
            overrides_.push_back({text.substr(0, sign), format, false});
        }
        return {};
    }

    Result<const StoredFormat*> find(std::string_view name) const {
        std::string lower(name);
        std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        const StoredFormat* format = table_.find(name);
        if (format == nullptr) format = table_.find(lower);
        if (format != nullptr) return format;
        std::string types;
        for (const FileType& type : file_types())
            if (table_.find(type.name) == nullptr) types += fmt::format(", {}", type.name);
        return Error{Code::kInvalid, fmt::format("there is no format '{}'; there are {}{}",
                                                 printable(name), table_.names(), types)};
    }

    const StoredFormat* override_of(std::string_view name) {
        const StoredFormat* format = nullptr;
        for (Override& entry : overrides_) {
            if (!fits(entry, name)) continue;
            entry.was_used = true;
            if (format == nullptr) format = entry.format;
        }
        return format;
    }

    Status fit_shape(TensorPlan& plan) const {
        const uint64_t cols = plan.tensor->cols();
        const StoredFormat* wanted = plan.target;
        if (cols % wanted->format.block_elems == 0) return {};
        if (const std::string_view next = fallback_of(wanted->name); !next.empty()) {
            TENON_TRY(plan.target, find(next));
        }
        if (cols % plan.target->format.block_elems != 0) {
            TENON_TRY(plan.target, find("f16"));
        }
        plan.note = fmt::format("{} instead of {}: {} columns are no multiple of {}",
                                plan.target->name, wanted->name, cols, wanted->format.block_elems);
        return {};
    }

    Status check_source(const TensorPlan& plan) const {
        const std::string_view source = plan.tensor->format->name;
        if (plan.is_copied || request_.allow_requantize ||
            std::find(std::begin(kSources), std::end(kSources), source) != std::end(kSources))
            return {};
        return Error{Code::kUnsupported,
                     fmt::format("tensor {} is {} already, which lost bits that {} cannot bring "
                                 "back; start from a file in f32, f16, bf16 or q8_0, or pass "
                                 "--allow-requantize",
                                 printable(plan.tensor->name), source, plan.target->name)};
    }

    const GgufFile& file_;
    const FormatTable& table_;
    const Request& request_;
    const FileType* type_ = nullptr;
    const StoredFormat* base_ = nullptr;
    std::vector<Override> overrides_;
    Plan plan_;
};

}  // namespace

Result<Plan> plan_tensors(const GgufFile& file, const FormatTable& table, const Request& request) {
    return Planner(file, table, request).run();
}

}  // namespace tenon::quantize
