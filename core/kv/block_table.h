// The blocks of one sequence, in order of position.
#pragma once

#include "core/kv/block_pool.h"

#include <span>
#include <utility>

namespace tenon::kv {

// Leading blocks may be borrowed from an owner who outlives the loan [the radix tree, whose node the
// sequence keeps locked]; the rest are the table's own, taken from a pool and given back when
// destroyed. Move-only. The pool must outlive it. One thread.
class BlockTable {
public:
    BlockTable(BlockPool& pool, uint32_t block_tokens)
        : pool_(&pool), block_tokens_(block_tokens) {}
    BlockTable(BlockTable&& other) noexcept
        : pool_(other.pool_),
          block_tokens_(other.block_tokens_),
          blocks_(std::move(other.blocks_)),
          borrowed_(std::exchange(other.borrowed_, 0)) {
        other.blocks_.clear();
    }
    BlockTable& operator=(BlockTable&& other) noexcept;
    ~BlockTable() { truncate(0); }

    // Makes room for positions 0 .. tokens-1. On kOomDevice the table keeps what it had.
    Status grow(uint32_t tokens);
    // Gives back every own block that holds no position below `tokens`; forgets such borrowed ones.
    void truncate(uint32_t tokens);
    // From now on the first blocks.size() blocks are these, owned by someone else. An own block at
    // such a place goes back to the pool if its id differs; with the same id its ownership passes
    // on. Places beyond the present size are appended. Blocks borrowed beyond `blocks` stay so.
    void borrow(std::span<const int32_t> blocks);

    const std::vector<int32_t>& blocks() const noexcept { return blocks_; }
    uint32_t borrowed() const noexcept { return static_cast<uint32_t>(borrowed_); }
    uint32_t owned() const noexcept { return static_cast<uint32_t>(blocks_.size() - borrowed_); }
    // Place of a position in the pool: block id * block_tokens + offset. `position` was grown to.
    int32_t slot(uint32_t position) const {
        return blocks_[position / block_tokens_] * static_cast<int32_t>(block_tokens_) +
               static_cast<int32_t>(position % block_tokens_);
    }

private:
    void shrink(size_t kept);

    BlockPool* pool_;  // not owned
    uint32_t block_tokens_;
    std::vector<int32_t> blocks_;
    size_t borrowed_ = 0;  // <= blocks_.size()
};

}  // namespace tenon::kv
