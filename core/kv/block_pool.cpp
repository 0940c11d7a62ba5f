#include "core/kv/block_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

namespace tenon::kv {

BlockPool::BlockPool(uint32_t count, uint64_t shuffle_seed)
    : count_(count), free_(count), is_free_(count, true) {
    for (uint32_t i = 0; i < count; ++i)
        free_[i] = static_cast<int32_t>(count - 1 - i);
    if (shuffle_seed != 0) std::shuffle(free_.begin(), free_.end(), std::mt19937_64(shuffle_seed));
}

Result<int32_t> BlockPool::take() {
    if (free_.empty()) {
        return Error{Code::kOomDevice,
                     fmt::format("all {} KV blocks are in use; wanted one more", count_)};
    }
    const int32_t block = free_.back();
    free_.pop_back();
    is_free_[index(block)] = false;
    return block;
}

void BlockPool::give_back(int32_t block) {
    if (!has(block) || is_free_[index(block)]) {
        ++misuses_;
        return;
    }
    free_.push_back(block);
    is_free_[index(block)] = true;
}

}  // namespace tenon::kv
