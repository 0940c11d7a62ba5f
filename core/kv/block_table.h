// The blocks of one sequence, in order of position.
#pragma once

#include "core/kv/block_pool.h"

namespace tenon::kv {

// Owns blocks of a pool; gives them back when destroyed. Move-only. The pool must outlive it. One
// thread.
class BlockTable {
public:
    BlockTable(BlockPool& pool, uint32_t block_tokens)
        : pool_(&pool), block_tokens_(block_tokens) {}
    BlockTable(BlockTable&& other) noexcept
        : pool_(other.pool_),
          block_tokens_(other.block_tokens_),
          blocks_(std::move(other.blocks_)) {
        other.blocks_.clear();
    }
    BlockTable& operator=(BlockTable&& other) noexcept;
    ~BlockTable() { truncate(0); }

    // Makes room for positions 0 .. tokens-1. On kOomDevice the table keeps what it had.
    Status grow(uint32_t tokens);
    // Gives back every block that holds no position below `tokens`.
    void truncate(uint32_t tokens);

    const std::vector<int32_t>& blocks() const noexcept { return blocks_; }
    // Place of a position in the pool: block id * block_tokens + offset. `position` was grown to.
    int32_t slot(uint32_t position) const {
        return blocks_[position / block_tokens_] * static_cast<int32_t>(block_tokens_) +
               static_cast<int32_t>(position % block_tokens_);
    }

private:
    BlockPool* pool_;  // not owned
    uint32_t block_tokens_;
    std::vector<int32_t> blocks_;
};

}  // namespace tenon::kv
