#include "core/engine/memory_plan.h"

#include "core/base/json_writer.h"
#include "core/engine/placed_step.h"
#include "core/engine/step_program.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::engine {

namespace {

constexpr uint32_t kRunningOnCpu = 32, kRunningElsewhere = 256;
constexpr uint32_t kTokensEach = 512;      // of a derived max_running_requests
constexpr uint32_t kCpuTokensEach = 1024;  // of a derived pool on a CPU
constexpr uint64_t kMarginCpu = 64u << 20, kMarginElsewhere = 256u << 20;
constexpr uint64_t kMarginPercent = 2;  // of what is available, if that is more
constexpr int64_t kBlocksMax = INT32_MAX / int64_t{kBlockTokens};  // places in a pool are i32
constexpr uint32_t kStepsStaged = 2;  // a step is filled while another runs
// Of a cached block on the host: its tokens and id in a node of its own (the worst case of the
// radix tree), its id in the free list and in a table.
constexpr uint64_t kBytesPerBlock = kBlockTokens * 4 + 4 + 192 + 8;

std::string mib(uint64_t bytes) {
    return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

uint64_t sum_of(const std::vector<MemoryTerm>& terms) {
    uint64_t sum = 0;
    for (const MemoryTerm& term : terms)
        sum += term.bytes;
    return sum;
}

std::string joined(const std::vector<MemoryTerm>& terms) {
    std::string text;
    for (const MemoryTerm& term : terms)
        text += fmt::format("{}{} {}", text.empty() ? "" : " + ", term.name, mib(term.bytes));
    return text;
}

const char* dtype_name(uint32_t dtype) {
    switch (dtype) {
        case TENON_F32: return "f32";
        case TENON_F16: return "f16";
        case TENON_BF16: return "bf16";
        case TENON_F8_E4M3: return "fp8_e4m3";
        case TENON_F8_E5M2: return "fp8_e5m2";
        case TENON_I8: return "int8";
        default: return "?";
    }
}

// One plan being made.
class Planner {
public:
    Planner(const host::Device& device, const tenon_device_info& info, const HostMemory& host,
            const model::Model& model, RunnerOptions options, const MemoryRequest& request)
        : device_(device),
          model_(model),
          config_(model.config()),
          request_(request),
          has_own_memory_(info.kind == TENON_DEVICE_GPU),
          is_cpu_(info.kind == TENON_DEVICE_CPU) {
        plan_.runner = std::move(options);
        const MemoryBudget machine{host.total, host.available, host.available_of};
        if (has_own_memory_) {
            plan_.budget = {info.memory_bytes, info.memory_free_bytes,
                            fmt::format("device '{}'", info.name)};
            plan_.host_budget = machine;
        } else {
            plan_.budget = machine;
        }
    }

    Result<MemoryPlan> make() {
        TENON_CHECK(take_request());
        TENON_CHECK(measure_weights());
        TENON_CHECK(size_steps(request_.max_running_requests != 0 ? request_.max_running_requests
                               : is_cpu_                          ? kRunningOnCpu
                                                                  : kRunningElsewhere));
        TENON_TRY(uint32_t blocks, choose_blocks());
        const uint32_t each =
            static_cast<uint32_t>(blocks_of(std::min(plan_.runner.context_length, kTokensEach)));
        if (request_.max_running_requests == 0 && blocks / each < plan_.runner.sequences_max) {
            TENON_CHECK(size_steps(std::max(1u, blocks / each)));
            TENON_TRY(blocks, choose_blocks());
        }
        TENON_CHECK(take_blocks(blocks));
        return std::move(plan_);
    }

private:
    Status take_request() {
        const uint32_t trained = config_.context_length;
        const uint32_t context = request_.context_length != 0 ? request_.context_length : trained;
        if (context == 0) {
            return Error{Code::kConfig,
                         "the model does not say how many positions it was trained "
                         "for; set context_length"};
        }
        if (trained != 0 && context > trained) {
            return Error{Code::kConfig,
                         fmt::format("context_length is {} tokens, the model was trained for {}; "
                                     "set it to {} or less",
                                     context, trained, trained)};
        }
        if (request_.mem_fraction_static < 0 || request_.mem_fraction_static > 1) {
            return Error{Code::kConfig,
                         fmt::format("mem_fraction_static is {}; it is a share, from "
                                     "0 to 1",
                                     request_.mem_fraction_static)};
        }
        if (request_.max_total_tokens != 0 && request_.max_total_tokens < context) {
            return Error{Code::kConfig,
                         fmt::format("max_total_tokens is {}, less than one sequence of "
                                     "context_length {}; raise the one or lower the other",
                                     request_.max_total_tokens, context)};
        }
        if (blocks_of(request_.max_total_tokens) > kBlocksMax) {
            return Error{Code::kConfig,
                         fmt::format("max_total_tokens is {}; block tables count to {}",
                                     request_.max_total_tokens, kBlocksMax * kBlockTokens)};
        }
        plan_.runner.context_length = context;
        plan_.runner.step_tokens_max = std::max(1u, request_.chunked_prefill_size);
        chunk_ = plan_.runner.step_tokens_max;
        rows_ = plan_.runner.logit_rows_max;
        return {};
    }

    Status measure_weights() {
        TENON_TRY(weights_, device_.weights(static_cast<uint32_t>(model_.weights().size()), 0));
        uint64_t stored = 0;
        for (const model::WeightSpec& spec : model_.weights()) {
            const tenon_weight weight = weight_of(spec, true);
            TENON_TRY(const uint32_t entry, weights_.put(weight));
            (void)entry;
            stored += weight.plane_bytes[0];
        }
        TENON_TRY(weights_info_, weights_.finish());
        weights_text_ = fmt::format("{} tensors, {} stored", model_.weights().size(), mib(stored));
        // Enough of a pool to prepare with; scratch does not depend on the number of blocks.
        const tenon_kv_desc desc = kv_desc_of(config_, plan_.runner.kv_dtype, 1);
        TENON_TRY(const tenon_kv_info info, device_.kv_query(desc));
        TENON_TRY(kv_, device_.kv_pool(desc));
        block_bytes_ = info.block_bytes;
        return {};
    }

    // Terms that depend on the number of sequences.
    Status size_steps(uint32_t sequences) {
        RunnerOptions options = plan_.runner;
        options.sequences_max = sequences;
        options.step_tokens_max = chunk_;
        options.logit_rows_max = rows_;
        options = normalised(std::move(options));
        scratch_ = elsewhere_ = 0;
        model::StepShape shape = shape_of(options);
        TENON_CHECK(measure_step(shape, options));
        if (options.embeddings) {
            shape.end = model::StepShape::End::kEmbedding;
            TENON_CHECK(measure_step(shape, options));
        }
        buffers_ = 0;
        for (uint32_t slot = 0; slot < model::kStepSlotCount; ++slot)
            buffers_ += slot_bytes(slot, options, config_);
        plan_.runner = std::move(options);
        return {};
    }

    Status measure_step(const model::StepShape& shape, const RunnerOptions& options) {
        TENON_TRY(const PlacedStep step,
                  PlacedStep::prepare(device_, model_, model_.build_step(shape), options,
                                      {weights_.handle(), kv_.handle(), TENON_PREPARE_MEASURE}));
        scratch_ += step.info().scratch_bytes;
        elsewhere_ += step.elsewhere_bytes();
        return {};
    }

    uint64_t host_bytes(uint32_t blocks) const {
        const uint64_t weights = has_own_memory_ ? weights_info_.host_bytes : 0;
        return weights + elsewhere_ + kStepsStaged * buffers_ + blocks * kBytesPerBlock;
    }
    uint64_t margin() const {
        return std::max(has_own_memory_ ? kMarginElsewhere : kMarginCpu,
                        plan_.budget.available / 100 * kMarginPercent);
    }

    // How many blocks the pool gets; at least one sequence of context_length.
    Result<uint32_t> choose_blocks() {
        const auto least = static_cast<uint64_t>(blocks_of(plan_.runner.context_length));
        if (request_.max_total_tokens != 0) {
            return static_cast<uint32_t>(blocks_of(request_.max_total_tokens));
        }
        const uint64_t per_block = block_bytes_ + (has_own_memory_ ? 0 : kBytesPerBlock);
        uint64_t room = 0;
        std::string share;
        if (request_.mem_fraction_static > 0) {
            const auto fixed = static_cast<uint64_t>(request_.mem_fraction_static *
                                                     static_cast<double>(plan_.budget.total));
            room = fixed - std::min(fixed, weights_info_.device_bytes);
            share = fmt::format("mem_fraction_static {} of {}", request_.mem_fraction_static,
                                mib(plan_.budget.total));
        } else {
            const uint64_t others = weights_info_.device_bytes + scratch_ + buffers_ + margin() +
                                    (has_own_memory_ ? 0 : host_bytes(0));
            room = plan_.budget.available - std::min(plan_.budget.available, others);
        }
        uint64_t blocks = per_block == 0 ? kBlocksMax : room / per_block;
        if (is_cpu_ && request_.mem_fraction_static <= 0) {
            const uint32_t each = std::min(plan_.runner.context_length, kCpuTokensEach);
            const auto modest = static_cast<uint64_t>(blocks_of(each)) * plan_.runner.sequences_max;
            blocks = std::min(blocks, std::max(modest, least));
        }
        blocks = std::min<uint64_t>(blocks, kBlocksMax);
        // A pool may be rounded up as a whole.
        TENON_TRY(const uint64_t pool, pool_bytes(blocks));
        const uint64_t index = blocks * (per_block - block_bytes_);
        if (pool + index > room) blocks -= std::min(blocks, (pool + index - room) / per_block + 1);
        if (blocks < least) {
            take_terms(static_cast<uint32_t>(least), least * block_bytes_);
            if (share.empty()) return refused();
            return Error{
                too_little(),
                fmt::format("{} leaves {} for the KV pool after weights of {}; one sequence "
                            "of context_length {} needs {}; raise mem_fraction_static or "
                            "set context_length to {} or less",
                            share, mib(room), mib(weights_info_.device_bytes),
                            plan_.runner.context_length, mib(least * block_bytes_),
                            blocks * kBlockTokens)};
        }
        return static_cast<uint32_t>(blocks);
    }

    Result<uint64_t> pool_bytes(uint64_t blocks) {
        if (blocks == 0) return uint64_t{0};
        TENON_TRY(const tenon_kv_info info,
                  device_.kv_query(
                      kv_desc_of(config_, plan_.runner.kv_dtype, static_cast<uint32_t>(blocks))));
        return info.pool_bytes;
    }

    Status take_blocks(uint32_t blocks) {
        TENON_TRY(const uint64_t pool, pool_bytes(blocks));
        take_terms(blocks, pool);
        const double fixed = request_.mem_fraction_static * static_cast<double>(plan_.budget.total);
        const uint64_t fraction = weights_info_.device_bytes + pool;
        if (fixed > 0 && static_cast<double>(fraction) > fixed) {
            return Error{
                too_little(),
                fmt::format("mem_fraction_static {} of {} is {}; weights of {} and a KV "
                            "pool of {} for max_total_tokens {} are {}",
                            request_.mem_fraction_static, mib(plan_.budget.total),
                            mib(static_cast<uint64_t>(fixed)), mib(weights_info_.device_bytes),
                            mib(pool), request_.max_total_tokens, mib(fraction))};
        }
        if (plan_.sum > plan_.budget.available) return refused();
        const uint64_t host = sum_of(plan_.host);
        if (host > plan_.host_budget.available && has_own_memory_) {
            return Error{
                Code::kOomHost,
                fmt::format("the memory plan does not fit: host memory of {} is needed, {} "
                            "is available ({}): {}",
                            mib(host), mib(plan_.host_budget.available), plan_.host_budget.source,
                            joined(plan_.host))};
        }
        plan_.runner.kv_blocks = plan_.kv_blocks;
        return {};
    }

    void take_terms(uint32_t blocks, uint64_t pool_bytes) {
        const RunnerOptions& o = plan_.runner;
        plan_.kv_blocks = blocks;
        plan_.max_total_tokens = uint64_t{blocks} * kBlockTokens;
        plan_.max_running_requests = o.sequences_max;
        plan_.terms = {
            {"weights", weights_info_.device_bytes, weights_text_},
            {"kv_pool", pool_bytes,
             fmt::format("{} blocks of {} tokens, {} B each: {} layers x {} heads x ({} + {}) x {}",
                         blocks, kBlockTokens, block_bytes_, config_.layers, config_.kv_heads,
                         config_.dim_k, config_.dim_v, dtype_name(o.kv_dtype))},
            {"scratch", scratch_,
             fmt::format("a step of {} tokens, {} sequences, {} rows", o.step_tokens_max,
                         o.sequences_max, o.logit_rows_max)},
            {"buffers", buffers_, "inputs and outputs of that step"},
        };
        const MemoryTerm host{
            "host", host_bytes(blocks),
            fmt::format("{} steps staged, {} B of index for each block{}", kStepsStaged,
                        kBytesPerBlock,
                        std::string(has_own_memory_ ? ", host copies of weights" : "") +
                            (elsewhere_ > 0
                                 ? fmt::format(", {} for nodes on a second device", mib(elsewhere_))
                                 : std::string()))};
        (has_own_memory_ ? plan_.host : plan_.terms).push_back(host);
        plan_.terms.push_back(
            {"margin", margin(),
             fmt::format("the larger of {} and {} % of what is free",
                         mib(has_own_memory_ ? kMarginElsewhere : kMarginCpu), kMarginPercent)});
        plan_.sum = sum_of(plan_.terms);
    }

    Code too_little() const { return has_own_memory_ ? Code::kOomDevice : Code::kOomHost; }

    Error refused() const {
        return {too_little(),
                fmt::format("the memory plan does not fit: {} are needed, {} are available of {} "
                            "({}): {}; lower context_length ({}), max_total_tokens ({}), "
                            "max_running_requests ({}) or chunked_prefill_size ({})",
                            mib(plan_.sum), mib(plan_.budget.available), mib(plan_.budget.total),
                            plan_.budget.source, joined(plan_.terms), plan_.runner.context_length,
                            plan_.max_total_tokens, plan_.max_running_requests, chunk_)};
    }

    const host::Device& device_;
    const model::Model& model_;
    const model::ModelConfig& config_;
    const MemoryRequest& request_;
    const bool has_own_memory_, is_cpu_;
    uint32_t chunk_ = 0, rows_ = 0;
    MemoryPlan plan_;

    host::WeightSet weights_;  // measured only
    host::KvPool kv_;
    tenon_weights_info weights_info_{};
    std::string weights_text_;
    uint64_t block_bytes_ = 0, scratch_ = 0, buffers_ = 0;
    uint64_t elsewhere_ = 0;  // for nodes that a second device runs
};

}  // namespace

MemoryRequest memory_request(const config::EngineConfig& config) {
    MemoryRequest request;
    request.mem_fraction_static = config.mem_fraction_static;
    request.max_running_requests = config.max_running_requests;
    request.max_total_tokens = config.max_total_tokens;
    request.context_length = config.context_length;
    request.chunked_prefill_size = config.chunked_prefill_size;
    return request;
}

uint64_t MemoryPlan::bytes(std::string_view term) const {
    for (const std::vector<MemoryTerm>* list : {&terms, &host}) {
        for (const MemoryTerm& each : *list) {
            if (each.name == term) return each.bytes;
        }
    }
    return 0;
}

std::string MemoryPlan::to_text() const {
    std::string text;
    const auto lines = [&](const std::vector<MemoryTerm>& list) {
        for (const MemoryTerm& term : list)
            text += fmt::format("{:<10}{:>12}  {}\n", term.name, mib(term.bytes), term.formula);
    };
    const auto total = [&](uint64_t bytes, const MemoryBudget& of) {
        text += fmt::format("{:<10}{:>12}  of {} available, {} in all ({})", "sum", mib(bytes),
                            mib(of.available), mib(of.total), of.source);
    };
    lines(terms);
    total(sum, budget);
    if (host.empty()) return text;
    text += '\n';
    lines(host);
    total(sum_of(host), host_budget);
    return text;
}

std::string MemoryPlan::to_json() const {
    JsonWriter json;
    const auto list = [&](const char* name, const std::vector<MemoryTerm>& of) {
        json.key(name).begin_array();
        for (const MemoryTerm& term : of) {
            json.begin_object()
                .field("name", term.name)
                .field("bytes", term.bytes)
                .field("formula", term.formula)
                .end_object();
        }
        json.end_array();
    };
    const auto limit = [&](const char* name, const MemoryBudget& of) {
        json.key(name)
            .begin_object()
            .field("total_bytes", of.total)
            .field("available_bytes", of.available)
            .field("source", of.source)
            .end_object();
    };
    json.begin_object();
    list("terms", terms);
    json.field("sum_bytes", sum);
    limit("budget", budget);
    if (!host.empty()) {
        list("host_terms", host);
        limit("host_budget", host_budget);
    }
    json.field("kv_blocks", kv_blocks)
        .field("max_total_tokens", max_total_tokens)
        .field("max_running_requests", max_running_requests)
        .field("context_length", runner.context_length)
        .end_object();
    return json.text();
}

Result<MemoryPlan> plan_memory(const host::Device& device, const tenon_device_info& info,
                               const HostMemory& host, const model::Model& model,
                               RunnerOptions options, const MemoryRequest& request) {
    return Planner(device, info, host, model, std::move(options), request).make();
}

}  // namespace tenon::engine
