#include "core/tokenizer/merges.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <limits>
#include <utility>

namespace tenon::tokenizer {
namespace {

constexpr int32_t kGone = -2;
constexpr int32_t kNoRank = std::numeric_limits<int32_t>::max();

// Below this length scanning all pairs for the lowest rank beats a heap.
constexpr size_t kShortWord = 32;

// Longer runs of full slots do not happen by chance at this load.
constexpr uint32_t kProbesMax = 1000;

size_t hash_of(int32_t left, int32_t right) noexcept {
    uint64_t h =
        (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
    h *= 0x9E3779B97F4A7C15ull;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93ull;
    return h ^ (h >> 32);
}

}  // namespace

void MergeTable::reserve(size_t count) {
    slots_.assign(std::bit_ceil(count + count / 2 + 2), Merge{});
    size_ = 0;
}

bool MergeTable::insert(const Merge& merge) {
    const size_t mask = slots_.size() - 1;
    size_t at = hash_of(merge.left, merge.right) & mask;
    uint32_t probes = 0;
    for (; slots_[at].left >= 0; at = (at + 1) & mask) {
        if (slots_[at].left == merge.left && slots_[at].right == merge.right) return true;
        if (++probes > kProbesMax) return false;
    }
    slots_[at] = merge;
    ++size_;
    return true;
}

const Merge* MergeTable::find(int32_t left, int32_t right) const noexcept {
    if (left < 0 || right < 0 || slots_.empty()) return nullptr;
    const size_t mask = slots_.size() - 1;
    for (size_t at = hash_of(left, right) & mask; slots_[at].left >= 0; at = (at + 1) & mask) {
        if (slots_[at].left == left && slots_[at].right == right) return &slots_[at];
    }
    return nullptr;
}

void WordMerger::merge(std::span<const int32_t> ids, std::vector<int32_t>& out) {
    if (ids.size() <= kShortWord) {
        merge_short(ids, out);
    } else {
        merge_long(ids, out);
    }
}

void WordMerger::merge_short(std::span<const int32_t> ids, std::vector<int32_t>& out) {
    std::array<int32_t, kShortWord> id;
    std::array<int32_t, kShortWord> rank, merged;  // of the pair (i, i + 1)
    size_t n = ids.size();
    std::copy(ids.begin(), ids.end(), id.begin());
    const auto rate = [&](size_t i) {
        const Merge* merge = table_->find(id[i], id[i + 1]);
        rank[i] = merge != nullptr ? merge->rank : kNoRank;
        merged[i] = merge != nullptr ? merge->merged : -1;
    };
    for (size_t i = 0; i + 1 < n; ++i)
        rate(i);
    while (n > 1) {
        const size_t best = static_cast<size_t>(
            std::min_element(rank.begin(), rank.begin() + static_cast<ptrdiff_t>(n) - 1) -
            rank.begin());
        if (rank[best] == kNoRank) break;
        id[best] = merged[best];
        for (size_t i = best + 1; i + 1 < n; ++i) {
            id[i] = id[i + 1];
            rank[i] = rank[i + 1];
            merged[i] = merged[i + 1];
        }
        --n;
        if (best + 1 < n) rate(best);
        if (best > 0) rate(best - 1);
    }
    for (size_t i = 0; i < n; ++i) {
        if (id[i] >= 0) out.push_back(id[i]);
    }
}

void WordMerger::offer(int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const Merge* merge = table_->find(symbols_[static_cast<size_t>(left)].id,
                                      symbols_[static_cast<size_t>(right)].id);
    if (merge == nullptr) return;
    offers_.push_back((static_cast<uint64_t>(merge->rank) << 32) | static_cast<uint32_t>(left));
}

void WordMerger::merge_long(std::span<const int32_t> ids, std::vector<int32_t>& out) {
    const auto n = static_cast<int32_t>(ids.size());
    symbols_.clear();
    symbols_.reserve(ids.size());
    offers_.clear();
    for (int32_t i = 0; i < n; ++i) {
        symbols_.push_back({ids[static_cast<size_t>(i)], i - 1, i + 1 < n ? i + 1 : -1});
        if (i > 0) offer(i - 1, i);
    }
    std::make_heap(offers_.begin(), offers_.end(), std::greater<>());
    while (!offers_.empty()) {
        std::pop_heap(offers_.begin(), offers_.end(), std::greater<>());
        const uint64_t best = offers_.back();
        offers_.pop_back();
        const auto at = static_cast<int32_t>(best & 0xFFFFFFFFu);
        Symbol& left = symbols_[static_cast<size_t>(at)];
        if (left.id < 0 || left.next < 0) continue;
        // The offer is stale unless the two symbols still merge at the rank it was made for.
        Symbol& right = symbols_[static_cast<size_t>(left.next)];
        const Merge* merge = table_->find(left.id, right.id);
        if (merge == nullptr || static_cast<uint64_t>(merge->rank) != best >> 32) continue;
        left.id = merge->merged;
        right.id = kGone;
        left.next = right.next;
        if (left.next >= 0) symbols_[static_cast<size_t>(left.next)].prev = at;
        for (const auto& [a, b] : {std::pair{left.prev, at}, std::pair{at, left.next}}) {
            const size_t before = offers_.size();
            offer(a, b);
            if (offers_.size() > before)
                std::push_heap(offers_.begin(), offers_.end(), std::greater<>());
        }
    }
    for (const Symbol& symbol : symbols_) {
        if (symbol.id >= 0) out.push_back(symbol.id);
    }
}

}  // namespace tenon::tokenizer
