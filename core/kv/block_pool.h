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

    // kOomDevice when no block is free.
    Result<int32_t> take();
    // `block` came from take() and was not given back since.
    void give_back(int32_t block);

private:
    uint32_t count_;
    std::vector<int32_t> free_;  // the next block to hand out is last
};

}  // namespace tenon::kv
