#include "core/engine/model_runner.h"

#include "core/formats/format_list.h"
#include "core/ops/decompose.h"
#include "core/ops/verify.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::engine {

namespace {

constexpr int kDecomposeRounds = 4;    // a part may have parts; no op nests deeper than two

// Bytes of each slot at the largest step; 0 where the program has no such slot.
uint64_t slot_bytes(uint32_t slot, const RunnerOptions& o, int64_t blocks, uint64_t vocab) {
    const uint64_t tokens = o.step_tokens_max, sequences = o.sequences_max, rows = o.logit_rows_max;
    const bool samples = o.end == model::StepShape::End::kSample;
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
            return samples ? 0 : rows * vocab * 4;
        case model::kSeed:
            return samples ? rows * 8 : 0;
        default:
            return samples ? rows * 4 : 0;
    }
}

}  // namespace

void Sequence::truncate(uint32_t length) {
    length_ = std::min(length_, length);
    table_.truncate(length_);
}

ModelRunner::ModelRunner(host::Device device, const model::Model& model, RunnerOptions options,
                         ops::Program program)
    : options_(std::move(options)),
      vocab_size_(model.config().vocab_size),
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
    TENON_CHECK(runner->make_buffers());
    TENON_CHECK(runner->prepare());
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
    const int64_t count = blocks_per_sequence_ * options_.sequences_max;
    if (count > INT32_MAX / int64_t{kBlockTokens}) {
        return Error{Code::kInvalid,
                     fmt::format("{} sequences of {} tokens need {} KV blocks; block "
                                 "tables count to {}",
                                 options_.sequences_max, options_.context_length, count,
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

Status ModelRunner::make_buffers() {
    for (uint32_t slot = 0; slot < model::kStepSlotCount; ++slot) {
        const uint64_t bytes = slot_bytes(slot, options_, blocks_per_sequence_, vocab_size_);
        if (bytes == 0) continue;
        const bool output = slot == model::kLogits || slot == model::kSampled;
        TENON_TRY(buffers_[slot],
                  device_.buffer(bytes, output ? TENON_BUF_OUTPUT : TENON_BUF_INPUT));
        memory_.buffers += bytes;
    }
    return renew_queue();
}

// The ladder of host/fallback_plan.h with this one device: what it does not take whole is
// decomposed and asked for again.
Status ModelRunner::place_nodes() {
    for (int round = 0;; ++round) {
        const tenon_program& program = program_.view();
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
        TENON_TRY(program_, ops::decompose_nodes(program, plan.decompose()));
    }
}

Status ModelRunner::prepare() {
    TENON_CHECK(ops::verify_program(program_.view()));
    TENON_CHECK(place_nodes());
    const tenon_program& program = program_.view();
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
    TENON_TRY(exec_, device_.prepare(program, how));
    memory_.scratch = exec_.info().scratch_bytes;
    return {};
}

Result<Sequence> ModelRunner::open() {
    return Sequence(kv::BlockTable(*blocks_, kBlockTokens));
}

Status ModelRunner::check(std::span<const StepItem> items) const {
    size_t tokens = 0, rows = 0;
    for (const StepItem& item : items) {
        if (item.tokens.empty() || item.logit_rows < 1 || item.logit_rows > item.tokens.size()) {
            return Error{Code::kInvalid, fmt::format("a step item has {} tokens and {} logit rows; "
                                                     "expected at least 1 of each, no more rows "
                                                     "than tokens",
                                                     item.tokens.size(), item.logit_rows)};
        }
        const uint64_t length = item.sequence->length() + item.tokens.size();
        if (length > options_.context_length) {
            return Error{Code::kInvalid,
                         fmt::format("the sequence would have {} tokens; its context "
                                     "holds {}",
                                     length, options_.context_length)};
        }
        for (const int32_t id : item.tokens) {
            if (id < 0 || static_cast<uint32_t>(id) >= vocab_size_) {
                return Error{Code::kInvalid,
                             fmt::format("token id {} is outside 0 to {}", id, vocab_size_ - 1)};
            }
        }
        tokens += item.tokens.size();
        rows += item.logit_rows;
    }
    if (items.empty() || items.size() > options_.sequences_max ||
        tokens > options_.step_tokens_max || rows > options_.logit_rows_max) {
        return Error{Code::kInvalid,
                     fmt::format("a step of {} sequences, {} tokens and {} rows; at "
                                 "most {}, {} and {} were planned",
                                 items.size(), tokens, rows, options_.sequences_max,
                                 options_.step_tokens_max, options_.logit_rows_max)};
    }
    return {};
}

Status ModelRunner::fill(std::span<const StepItem> items) {
    token_ids_.clear();
    positions_.clear();
    kv_slots_.clear();
    kv_len_.clear();
    rows_.clear();
    temperature_.clear();
    top_k_.clear();
    top_p_.clear();
    min_p_.clear();
    seed_.clear();
    sample_position_.clear();
    q_start_.assign(1, 0);
    const auto blocks = static_cast<size_t>(blocks_per_sequence_);
    block_table_.assign(blocks * items.size(), 0);
    for (size_t i = 0; i < items.size(); ++i) {
        const StepItem& item = items[i];
        const kv::BlockTable& table = item.sequence->table_;
        const auto length = static_cast<uint32_t>(item.sequence->length_ + item.tokens.size());
        for (size_t t = 0; t < item.tokens.size(); ++t) {
            const auto position = static_cast<uint32_t>(item.sequence->length_ + t);
            token_ids_.push_back(item.tokens[t]);
            positions_.push_back(static_cast<int32_t>(position));
            kv_slots_.push_back(table.slot(position));
        }
        std::copy(table.blocks().begin(), table.blocks().end(),
                  block_table_.begin() + static_cast<ptrdiff_t>(i * blocks));
        kv_len_.push_back(static_cast<int32_t>(length));
        q_start_.push_back(static_cast<int32_t>(token_ids_.size()));
        for (uint32_t r = item.logit_rows; r > 0; --r) {
            rows_.push_back(static_cast<int32_t>(token_ids_.size() - r));
            temperature_.push_back(item.sampling.temperature);
            top_k_.push_back(item.sampling.top_k);
            top_p_.push_back(item.sampling.top_p);
            min_p_.push_back(item.sampling.min_p);
            seed_.push_back(item.sampling.seed);
            sample_position_.push_back(static_cast<int32_t>(length - r + 1));
        }
    }
    return {};
}

Status ModelRunner::run(size_t tokens, size_t sequences, size_t rows) {
    const bool samples = options_.end == model::StepShape::End::kSample;
    tenon_copy copies[model::kStepSlotCount];
    size_t n = 0;
    const auto give = [&](uint32_t slot, const auto& from) {
        copies[n++] = host::copy_in(buffers_[slot], 0, from.data(), from.size() * sizeof(from[0]));
    };
    give(model::kTokenIds, token_ids_);
    give(model::kPositions, positions_);
    give(model::kKvSlot, kv_slots_);
    give(model::kBlockTable, block_table_);
    give(model::kKvLen, kv_len_);
    give(model::kQStart, q_start_);
    give(model::kLogitRows, rows_);
    if (samples) {
        give(model::kTemperature, temperature_);
        give(model::kTopK, top_k_);
        give(model::kTopP, top_p_);
        give(model::kMinP, min_p_);
        give(model::kSeed, seed_);
        give(model::kSamplePosition, sample_position_);
    }
    const tenon_point copied = timeline_.at(++ticks_);
    const tenon_point stepped = timeline_.at(++ticks_);
    const tenon_point read = timeline_.at(++ticks_);
    TENON_CHECK(queue_.copy({copies, n}, {{}, {&copied, 1}}));

    tenon_buffer* handles[model::kStepSlotCount];
    for (uint32_t slot = 0; slot < model::kStepSlotCount; ++slot)
        handles[slot] = buffers_[slot].handle();
    const int64_t symbols[] = {static_cast<int64_t>(tokens), static_cast<int64_t>(sequences),
                               static_cast<int64_t>(rows)};
    tenon_bind bind{};
    bind.n_slots = program_.view().n_slots;
    bind.buffers = handles;
    bind.symbols = symbols;
    bind.cancel = options_.cancel;
    TENON_CHECK(queue_.submit(exec_, bind, {{&copied, 1}, {&stepped, 1}}));

    tenon_copy out;
    if (samples) {
        sampled_.resize(rows);
        out = host::copy_out(sampled_.data(), buffers_[model::kSampled], 0, rows * 4);
    } else {
        logits_.resize(rows * vocab_size_);
        out = host::copy_out(logits_.data(), buffers_[model::kLogits], 0, logits_.size() * 4);
    }
    TENON_CHECK(queue_.copy({&out, 1}, {{&stepped, 1}, {&read, 1}}));
    TENON_CHECK(timeline_.wait(read.value));
    // SAMPLE answers -1 where a row has no finite logit.
    if (samples && std::any_of(sampled_.begin(), sampled_.end(), [](int32_t t) { return t < 0; })) {
        return Error{Code::kData,
                     "no logit of a row is finite: the weights or what they compute holds NaN"};
    }
    return {};
}

Status ModelRunner::step(std::span<const StepItem> items) {
    TENON_CHECK(check(items));
    Status status;
    for (const StepItem& item : items) {
        const size_t length = item.sequence->length_ + item.tokens.size();
        status = item.sequence->table_.grow(static_cast<uint32_t>(length));
        if (!status.ok()) break;
    }
    if (status.ok()) status = fill(items);
    if (status.ok()) status = run(token_ids_.size(), items.size(), rows_.size());
    for (const StepItem& item : items) {
        if (status.ok())
            item.sequence->length_ += static_cast<uint32_t>(item.tokens.size());
        else
            item.sequence->table_.truncate(item.sequence->length_);
    }
    if (!status.ok()) TENON_CHECK(renew_queue());
    return status;
}

// A failure stays with its timeline for good; closing the queue waits for what is still in it.
Status ModelRunner::renew_queue() {
    queue_.reset();
    timeline_.reset();
    ticks_ = 0;
    TENON_TRY(timeline_, device_.timeline());
    TENON_TRY(queue_, device_.queue());
    return {};
}

Status ModelRunner::prefill(Sequence& sequence, std::span<const int32_t> tokens,
                            const sampling::SamplingParams& sampling) {
    while (!tokens.empty()) {
        const size_t n = std::min<size_t>(tokens.size(), options_.step_tokens_max);
        const StepItem item{&sequence, tokens.first(n), 1, sampling};
        TENON_CHECK(step({&item, 1}));
        tokens = tokens.subspan(n);
    }
    return {};
}

}  // namespace tenon::engine
