#include "core/kv/block_table.h"

#include <algorithm>

namespace tenon::kv {

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
    if (this == &other) return *this;
    truncate(0);
    pool_ = other.pool_;
    block_tokens_ = other.block_tokens_;
    blocks_ = std::move(other.blocks_);
    borrowed_ = std::exchange(other.borrowed_, 0);
    other.blocks_.clear();
    return *this;
}

Status BlockTable::grow(uint32_t tokens) {
    const size_t wanted = (size_t{tokens} + block_tokens_ - 1) / block_tokens_;
    const size_t before = blocks_.size();
    while (blocks_.size() < wanted) {
        Result<int32_t> block = pool_->take();
        if (!block.ok()) {
            shrink(before);
            return std::move(block).error();
        }
        blocks_.push_back(*block);
    }
    return {};
}

void BlockTable::truncate(uint32_t tokens) {
    shrink((size_t{tokens} + block_tokens_ - 1) / block_tokens_);
}

void BlockTable::shrink(size_t kept) {
    while (blocks_.size() > kept) {
        if (blocks_.size() > borrowed_) pool_->give_back(blocks_.back());
        blocks_.pop_back();
    }
    borrowed_ = std::min(borrowed_, blocks_.size());
}

void BlockTable::borrow(std::span<const int32_t> blocks) {
    const size_t standing = std::min(blocks.size(), blocks_.size());
    for (size_t i = borrowed_; i < standing; ++i) {
        if (blocks_[i] != blocks[i]) pool_->give_back(blocks_[i]);
    }
    std::copy_n(blocks.begin(), standing, blocks_.begin());
    blocks_.insert(blocks_.end(), blocks.begin() + static_cast<std::ptrdiff_t>(standing),
                   blocks.end());
    borrowed_ = std::max(borrowed_, blocks.size());
}

}  // namespace tenon::kv
