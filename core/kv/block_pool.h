// Ids of the blocks of a KV pool. The memory behind them is the backend's.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <vector>

namespace tenon::kv {

// Hands out block ids 0 .. count-1. O(1) per block. One thread.
class BlockPool {
public:
    // With a seed other than 0 the ids come out shuffled: a result must not depend on their order.
    explicit BlockPool(uint32_t count, uint64_t shuffle_seed = 0);

    uint32_t count() const noexcept { return count_; }
    uint32_t free_count() const noexcept { return static_cast<uint32_t>(free_.size()); }
    // False for an id that the pool never had.
    bool is_free(int32_t block) const noexcept { return has(block) && is_free_[index(block)]; }

    // kOomDevice when no block is free.
    Result<int32_t> take();
    // `block` came from take() and was not given back since. Otherwise nothing happens but that
    // misuses() grows: one owner's bug must not hand one block to two others.
    void give_back(int32_t block);
    // Blocks given back that were not out. Anything but 0 is a bug of an owner.
    uint64_t misuses() const noexcept { return misuses_; }

private:
    static size_t index(int32_t block) noexcept { return static_cast<size_t>(block); }
    bool has(int32_t block) const noexcept { return block >= 0 && index(block) < count_; }

    uint32_t count_;
    std::vector<int32_t> free_;  // the next block to hand out is last
    std::vector<bool> is_free_;  // by id
    uint64_t misuses_ = 0;
};

}  // namespace tenon::kv
