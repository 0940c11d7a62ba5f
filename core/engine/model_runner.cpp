#include "core/engine/model_runner.h"

#include "core/formats/format_list.h"
#include "core/ops/decompose.h"
#include "core/ops/verify.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::engine {

namespace {

constexpr int kDecomposeRounds = 4;    // a part may have parts; no op nests deeper than two

using End = model::StepShape::End;

// Bytes of each slot at the largest step; 0 where the program has no such slot.
uint64_t slot_bytes(uint32_t slot, const RunnerOptions& o, int64_t blocks,
                    const model::ModelConfig& config) {
    const uint64_t tokens = o.step_tokens_max, sequences = o.sequences_max, rows = o.logit_rows_max;
    switch (slot) {
        case model::kTokenIds:
        case model::kPositions:
        case model::kKvSlot:
            return tokens * 4;
        case model::kBlockTable:
            return sequences * static_cast<uint64_t>(blocks) * 4;
        case model::kKvLen:
            return sequences * 4;
        case model::kQStart:
            return (sequences + 1) * 4;
        case model::kLogitRows:
            return rows * 4;
        case model::kLogits:
            return o.end == End::kSample ? 0 : rows * config.vocab_size * 4;
        case model::kEmbedding:
            return o.embeddings ? sequences * config.hidden_size * 4 : 0;
        case model::kSeed:
            return o.draws() ? rows * 8 : 0;
        default:
            return o.draws() ? rows * 4 : 0;
    }
}

bool is_output(uint32_t slot) {
    return slot == model::kLogits || slot == model::kSampled || slot == model::kEmbedding;
}

}  // namespace

void Sequence::truncate(uint32_t length) {
    length_ = std::min(length_, length);
    table_.truncate(length_);
}

void Sequence::adopt(std::span<const int32_t> blocks, uint32_t length) {
    table_.borrow(blocks);
    length_ = length;
}

void ModelRunner::Inputs::clear() {
    token_ids.clear();
    positions.clear();
    kv_slots.clear();
    block_table.clear();
    kv_len.clear();
    q_start.assign(1, 0);
    rows.clear();
    temperature.clear();
    top_p.clear();
    min_p.clear();
    top_k.clear();
    sample_position.clear();
    seed.clear();
    sampled.clear();
    logits.clear();
    logit_place.clear();
    grown.clear();
}

ModelRunner::ModelRunner(host::Device device, const model::Model& model, RunnerOptions options,
                         ops::Program program)
    : options_(std::move(options)),
      vocab_size_(model.config().vocab_size),
      hidden_size_(model.config().hidden_size),
      pooling_(model.config().pooling),
      blocks_per_sequence_(blocks_of(options_.context_length)),
      device_(std::move(device)),
      program_(std::move(program)) {}

ModelRunner::~ModelRunner() = default;

Result<std::unique_ptr<ModelRunner>> ModelRunner::create(host::Device device,
                                                         const model::Model& model,
                                                         const formats::LoadedGguf& source,
                                                         RunnerOptions options) {
    options.step_tokens_max = std::max(options.step_tokens_max, options.sequences_max);
    options.logit_rows_max = std::max(options.logit_rows_max, options.sequences_max);
    model::StepShape shape;
    shape.tokens_max = options.step_tokens_max;
    shape.sequences_max = options.sequences_max;
    shape.logits_max = options.logit_rows_max;
    shape.blocks_per_sequence = blocks_of(options.context_length);
    shape.end = options.end;
    std::unique_ptr<ModelRunner> runner(
        new ModelRunner(std::move(device), model, std::move(options), model.build_step(shape)));
    TENON_CHECK(runner->load_weights(model, source));
    TENON_CHECK(runner->make_cache(model.config()));
    TENON_CHECK(runner->make_buffers(model.config()));
    TENON_TRY(runner->exec_, runner->prepare(runner->program_));
    if (runner->options_.embeddings) {
        shape.end = End::kEmbedding;
        runner->embed_program_ = std::make_unique<ops::Program>(model.build_step(shape));
        TENON_TRY(runner->embed_exec_, runner->prepare(*runner->embed_program_));
    }
    return runner;
}

Status ModelRunner::load_weights(const model::Model& model, const formats::LoadedGguf& source) {
    uint64_t total = 0;
    for (const model::WeightSpec& spec : model.weights()) {
        total += spec.stored != nullptr ? spec.stored->bytes.size() : spec.computed.size() * 4;
    }
    TENON_TRY(weights_, device_.weights(static_cast<uint32_t>(model.weights().size()), total));
    uint64_t done = 0;
    for (size_t i = 0; i < model.weights().size(); ++i) {
        const model::WeightSpec& spec = model.weights()[i];
        tenon_weight weight{};
        weight.uses = spec.uses;
        weight.name = {spec.name.data(), spec.name.size()};
        weight.rows = spec.rows;
        weight.cols = spec.cols;
        weight.fuse_group = spec.fuse_group;
        weight.n_planes = 1;
        if (spec.stored != nullptr) {
            weight.format = &spec.stored->format->format;
            weight.planes[0] = spec.stored->bytes.data();
            weight.plane_bytes[0] = spec.stored->bytes.size();
        } else {
            weight.format = &formats::find_format("f32")->format;
            weight.planes[0] = spec.computed.data();
            weight.plane_bytes[0] = spec.computed.size() * sizeof(float);
        }
        TENON_TRY(const uint32_t entry, weights_.put(weight));
        if (entry != i) {
            return Error{Code::kInternal, fmt::format("the backend numbered weight {} as {}; "
                                                      "entries count up from 0",
                                                      i, entry)};
        }
        if (spec.stored != nullptr)
            source.file.release(spec.stored->offset, spec.stored->bytes.size());
        done += weight.plane_bytes[0];
        if (options_.on_load) options_.on_load(done, total);
        if (options_.cancel != nullptr && __atomic_load_n(options_.cancel, __ATOMIC_RELAXED) != 0) {
            return Error{Code::kCancelled, "loading was cancelled"};
        }
    }
    TENON_TRY(const tenon_weights_info info, weights_.finish());
    memory_.weights = info.device_bytes;
    return source.file.check_unchanged();
}

Status ModelRunner::make_cache(const model::ModelConfig& config) {
    const int64_t count = options_.kv_blocks != 0 ? int64_t{options_.kv_blocks}
                                                  : blocks_per_sequence_ * options_.sequences_max;
    if (count > INT32_MAX / int64_t{kBlockTokens}) {
        return Error{Code::kInvalid,
                     fmt::format("{} KV blocks are wanted for {} sequences of {} tokens; block "
                                 "tables count to {}",
                                 count, options_.sequences_max, options_.context_length,
                                 INT32_MAX / kBlockTokens)};
    }
    tenon_kv_desc desc{};
    desc.n_layers = config.layers;
    desc.n_kv_heads = config.kv_heads;
    desc.dim_k = config.dim_k;
    desc.dim_v = config.dim_v;
    desc.block_tokens = kBlockTokens;
    desc.dtype = options_.kv_dtype;
    desc.n_blocks = static_cast<uint32_t>(count);
    TENON_TRY(const tenon_kv_info info, device_.kv_query(desc));
    TENON_TRY(kv_, device_.kv_pool(desc));
    memory_.kv_pool = info.pool_bytes;
    blocks_ = std::make_unique<kv::BlockPool>(desc.n_blocks, options_.shuffle_blocks_seed);
    return {};
}

Status ModelRunner::make_buffers(const model::ModelConfig& config) {
    for (uint32_t slot = 0; slot < model::kStepSlotCount; ++slot) {
        const uint64_t bytes = slot_bytes(slot, options_, blocks_per_sequence_, config);
        if (bytes == 0) continue;
        TENON_TRY(buffers_[slot],
                  device_.buffer(bytes, is_output(slot) ? TENON_BUF_OUTPUT : TENON_BUF_INPUT));
        memory_.buffers += bytes;
    }
    return renew_queue();
}

// The ladder of host/fallback_plan.h with this one device: what it does not take whole is
// decomposed and asked for again.
Status ModelRunner::place_nodes(ops::Program& rewritten) {
    for (int round = 0;; ++round) {
        const tenon_program& program = rewritten.view();
        std::vector<std::vector<tenon_verdict>> verdicts(1);
        TENON_TRY(verdicts[0], device_.query(program, options_.compute));
        const auto can_decompose = [&](uint32_t index) {
            std::vector<bool> chosen(program.n_nodes);
            chosen[index] = true;
            return round < kDecomposeRounds && ops::decompose_nodes(program, chosen).ok();
        };
        TENON_TRY(const host::FallbackPlan plan,
                  host::plan_fallback(program, verdicts, options_.fallback, can_decompose));
        for (const std::string& line : plan.report(program))
            placement_.push_back(line);
        if (!plan.needs_rewrite()) return {};
        TENON_TRY(rewritten, ops::decompose_nodes(program, plan.decompose()));
    }
}

Result<host::Exec> ModelRunner::prepare(ops::Program& wanted) {
    TENON_CHECK(ops::verify_program(wanted.view()));
    TENON_CHECK(place_nodes(wanted));
    const tenon_program& program = wanted.view();
    const int64_t max[] = {options_.step_tokens_max, options_.sequences_max,
                           options_.logit_rows_max};
    const tenon_bucket bucket{max};
    tenon_prepare how{};
    if (options_.deterministic) how.flags = TENON_PREPARE_DETERMINISTIC;
    how.compute = options_.compute;
    how.n_buckets = 1;
    how.buckets = &bucket;
    how.weights = weights_.handle();
    how.kv = kv_.handle();
    TENON_TRY(host::Exec exec, device_.prepare(program, how));
    memory_.scratch += exec.info().scratch_bytes;
    return exec;
}

Result<Sequence> ModelRunner::open() {
    return Sequence(kv::BlockTable(*blocks_, kBlockTokens));
}

}  // namespace tenon::engine
