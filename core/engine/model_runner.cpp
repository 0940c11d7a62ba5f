#include "core/engine/model_runner.h"

#include "core/engine/step_program.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::engine {

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

ModelRunner::ModelRunner(host::Device device, const model::Model& model, RunnerOptions options)
    : options_(std::move(options)),
      vocab_size_(model.config().vocab_size),
      hidden_size_(model.config().hidden_size),
      pooling_(model.config().pooling),
      blocks_per_sequence_(blocks_of(options_.context_length)),
      device_(std::move(device)) {}

ModelRunner::~ModelRunner() = default;

Result<std::unique_ptr<ModelRunner>> ModelRunner::create(host::Device device,
                                                         const model::Model& model,
                                                         const formats::LoadedGguf& source,
                                                         RunnerOptions options) {
    options = normalised(std::move(options));
    model::StepShape shape = shape_of(options);
    std::unique_ptr<ModelRunner> runner(
        new ModelRunner(std::move(device), model, std::move(options)));
    TENON_CHECK(runner->load_weights(model, source));
    TENON_CHECK(runner->make_cache(model.config()));
    TENON_CHECK(runner->make_buffers(model.config()));
    TENON_TRY(runner->step_, runner->prepare(model, shape));
    if (runner->options_.embeddings) {
        shape.end = model::StepShape::End::kEmbedding;
        TENON_TRY(runner->embed_step_, runner->prepare(model, shape));
    }
    return runner;
}

Status ModelRunner::load_weights(const model::Model& model, const formats::LoadedGguf& source) {
    uint64_t total = 0;
    for (const model::WeightSpec& spec : model.weights()) {
        total += spec.stored_bytes().size() + spec.computed.size() * sizeof(float);
    }
    TENON_TRY(weights_, device_.weights(static_cast<uint32_t>(model.weights().size()), total));
    uint64_t done = 0;
    for (size_t i = 0; i < model.weights().size(); ++i) {
        const model::WeightSpec& spec = model.weights()[i];
        const tenon_weight weight = weight_of(spec);
        TENON_TRY(const uint32_t entry, weights_.put(weight));
        if (entry != i) {
            return Error{Code::kInternal, fmt::format("the backend numbered weight {} as {}; "
                                                      "entries count up from 0",
                                                      i, entry)};
        }
        if (spec.stored != nullptr) source.release(spec.stored_bytes());
        done += weight.plane_bytes[0];
        if (options_.on_load) options_.on_load(done, total);
        if (options_.cancel != nullptr && __atomic_load_n(options_.cancel, __ATOMIC_RELAXED) != 0) {
            return Error{Code::kCancelled, "loading was cancelled"};
        }
    }
    TENON_TRY(const tenon_weights_info info, weights_.finish());
    memory_.weights = info.device_bytes;
    return source.check_unchanged();
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
    const tenon_kv_desc desc = kv_desc_of(config, options_.kv_dtype, static_cast<uint32_t>(count));
    TENON_TRY(const tenon_kv_info info, device_.kv_query(desc));
    TENON_TRY(kv_, device_.kv_pool(desc));
    memory_.kv_pool = info.pool_bytes;
    blocks_ = std::make_unique<kv::BlockPool>(desc.n_blocks, options_.shuffle_blocks_seed);
    return {};
}

Status ModelRunner::make_buffers(const model::ModelConfig& config) {
    for (uint32_t slot = 0; slot < model::kStepSlotCount; ++slot) {
        const uint64_t bytes = slot_bytes(slot, options_, config);
        if (bytes == 0) continue;
        TENON_TRY(buffers_[slot],
                  device_.buffer(bytes, is_output(slot) ? TENON_BUF_OUTPUT : TENON_BUF_INPUT));
        memory_.buffers += bytes;
    }
    return renew_queue();
}

Result<PlacedStep> ModelRunner::prepare(const model::Model& model, model::StepShape shape) {
    TENON_TRY(PlacedStep step, PlacedStep::prepare(device_, model, model.build_step(shape),
                                                   options_, {weights_.handle(), kv_.handle()}));
    memory_.scratch += step.info().scratch_bytes;
    memory_.elsewhere += step.elsewhere_bytes();
    placement_.insert(placement_.end(), step.placement().begin(), step.placement().end());
    return step;
}

Result<Sequence> ModelRunner::open() { return Sequence(kv::BlockTable(*blocks_, kBlockTokens)); }

}  // namespace tenon::engine
