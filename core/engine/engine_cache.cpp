// Who owns which block: a job takes blocks from the pool or borrows them from the tree, gives what
// others may use to the tree, and the rest back.
#include "core/engine/engine_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace tenon::engine {

// What the tree would give a waiting job. Asked again only after the tree changed.
const kv::RadixTree::Peek& EngineCore::cached_of(Job& job) {
    if (options_.use_radix_cache && !job.is_embedding() &&
        job.cache_version != tree_.stats().changes) {
        job.cache_version = tree_.stats().changes;
        job.cached_now = tree_.look(job.request.cache_scope, job.tokens);
    }
    return job.cached_now;
}

void EngineCore::admit(Job& job) {
    job.is_running = true;
    if (!options_.use_radix_cache || job.is_embedding()) return;
    const kv::RadixMatch match = tree_.match(job.request.cache_scope, job.tokens);
    if (match.blocks.empty()) return;
    tree_.lock(match.node);
    job.node = match.node;
    const auto length = static_cast<uint32_t>(match.blocks.size() * kBlockTokens);
    job.sequence.adopt(match.blocks, length);
    if (!job.was_scheduled) {
        job.cached_tokens = length;
        cached_tokens_ += length;
    }
}

// Blocks for `tokens` more positions; what is cached and unused makes way. False: not enough.
bool EngineCore::make_room(Job& job, uint32_t tokens) {
    const auto wanted = static_cast<uint32_t>(blocks_of(job.sequence.length() + tokens));
    const auto held = static_cast<uint32_t>(job.sequence.table().blocks().size());
    if (wanted <= held) return true;
    const uint32_t free = runner_.blocks().free_count();
    if (free < wanted - held) tree_.evict(wanted - held - free);
    return job.sequence.table().grow(job.sequence.length() + tokens).ok();
}

// Gives the tree the whole blocks that are written, and borrows them back.
void EngineCore::share_prefix(Job& job) {
    if (!options_.use_radix_cache || job.is_embedding()) return;
    const uint32_t written =
        std::min(job.sequence.length(), static_cast<uint32_t>(job.tokens.size()));
    const uint32_t blocks = written / kBlockTokens;
    if (blocks == 0 || blocks <= job.sequence.table().borrowed()) return;
    const kv::RadixTree::Inserted inserted = tree_.insert(
        job.request.cache_scope, std::span(job.tokens).first(size_t{blocks} * kBlockTokens),
        std::span(job.sequence.table().blocks()).first(blocks));
    tree_.lock(inserted.node);
    if (job.node != nullptr) tree_.unlock(job.node);
    job.node = inserted.node;
    job.sequence.table().borrow(tree_.blocks_of(inserted.node));
}

// The job holds no blocks afterwards. `keep`: what it wrote stays in the tree for others.
void EngineCore::release(Job& job, bool keep) {
    if (keep) share_prefix(job);
    if (job.node != nullptr) tree_.unlock(job.node);
    job.node = nullptr;
    job.sequence.truncate(0);
    job.is_running = false;
}

// Takes its blocks away; it waits and is computed again. What it has drawn stays.
void EngineCore::retract(Job& job) {
    release(job, false);
    job.cache_version = UINT64_MAX;
    job.skipped = 0;
    ++job.retractions;
    ++retractions_;
    job.embedding.clear();
}

std::string EngineCore::check() const {
    if (std::string fault = tree_.check(); !fault.empty()) return fault;
    uint64_t owned = 0;
    std::unordered_set<int32_t> seen;
    for (const std::unique_ptr<Job>& job : jobs_) {
        const kv::BlockTable& table = job->sequence.table();
        owned += table.owned();
        for (uint32_t i = table.borrowed(); i < table.blocks().size(); ++i) {
            if (!seen.insert(table.blocks()[i]).second)
                return fmt::format("block {} has two owners", table.blocks()[i]);
        }
        if (!job->is_running && !table.blocks().empty())
            return fmt::format("request {} waits and holds blocks", job->request.id);
    }
    const kv::RadixStats& stats = tree_.stats();
    const uint64_t sum =
        runner_.blocks().free_count() + stats.evictable_blocks + stats.protected_blocks + owned;
    if (sum != runner_.blocks().count()) {
        return fmt::format("{} blocks are free, {} cached, {} locked and {} private: {} of {}",
                           runner_.blocks().free_count(), stats.evictable_blocks,
                           stats.protected_blocks, owned, sum, runner_.blocks().count());
    }
    if (jobs_.empty() && stats.protected_blocks != 0)
        return fmt::format("{} blocks are locked by nobody", stats.protected_blocks);
    return {};
}

}  // namespace tenon::engine
