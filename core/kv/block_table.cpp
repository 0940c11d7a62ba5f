#include "core/kv/block_table.h"

namespace tenon::kv {

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
    if (this == &other) return *this;
    truncate(0);
    pool_ = other.pool_;
    block_tokens_ = other.block_tokens_;
    blocks_ = std::move(other.blocks_);
    other.blocks_.clear();
    return *this;
}

Status BlockTable::grow(uint32_t tokens) {
    const size_t wanted = (size_t{tokens} + block_tokens_ - 1) / block_tokens_;
    const size_t before = blocks_.size();
    while (blocks_.size() < wanted) {
        Result<int32_t> block = pool_->take();
        if (!block.ok()) {
            truncate(static_cast<uint32_t>(before * block_tokens_));
            return std::move(block).error();
        }
        blocks_.push_back(*block);
    }
    return {};
}

void BlockTable::truncate(uint32_t tokens) {
    const size_t kept = (size_t{tokens} + block_tokens_ - 1) / block_tokens_;
    while (blocks_.size() > kept) {
        pool_->give_back(blocks_.back());
        blocks_.pop_back();
    }
}

}  // namespace tenon::kv
