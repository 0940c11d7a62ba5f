// Which cached blocks hold which prefix: a radix tree over whole blocks of tokens.
//
// Edges are sequences of blocks; children are keyed by their first block of tokens, so a node has
// at most one child for it. A namespace keeps strangers apart: equal tokens in different namespaces
// never meet. A block belongs to the tree, to one sequence or to the pool, never to two of them;
// the tree gives its blocks back to the pool when it evicts them. Counters are kept, never
// recomputed. O(depth + blocks) per call. One thread.
#pragma once

#include "core/kv/block_pool.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::kv {

class RadixNode;  // address is stable until it is evicted; a locked node is never evicted

// A match, an insert and the last unlock of a path are uses of it; only a match is a hit.
enum class Eviction : uint8_t {
    kLru,   // least recently used leaf first
    kSlru,  // leaves hit less than twice first, least recently used first among equals
};

struct RadixOptions {
    uint32_t block_tokens = 16;
    Eviction eviction = Eviction::kLru;
};

struct RadixMatch {
    std::vector<int32_t> blocks;  // of the longest cached prefix, whole blocks
    RadixNode* node = nullptr;    // its end; the root when nothing matched
};

struct RadixStats {
    uint64_t evictable_blocks = 0;  // cached, not locked
    uint64_t protected_blocks = 0;  // cached, locked
    uint64_t nodes = 0;             // without roots
    uint64_t changes = 0;           // of anything that look() can tell, since start
    uint64_t hit_blocks = 0, inserted_blocks = 0, evicted_blocks = 0, splits = 0;  // since start
};

class RadixTree {
public:
    RadixTree(BlockPool& pool, RadixOptions options);  // the pool must outlive it
    ~RadixTree();                                      // gives every block back
    RadixTree(const RadixTree&) = delete;
    RadixTree& operator=(const RadixTree&) = delete;

    // Longest cached prefix of `tokens`, at most tokens.size() - 1 of them: one token is always left
    // to compute. Touches what it passes; may split a node. Blocks stay the tree's: lock the node
    // before anything can evict. A split leaves nodes their end: who holds one holds the same path.
    RadixMatch match(std::string_view space, std::span<const int32_t> tokens);
    // As match, without touching or splitting: how many tokens would hit.
    uint32_t peek(std::string_view space, std::span<const int32_t> tokens) const;
    // peek(), and how many blocks of that prefix nobody locks: locking it takes so many from evict().
    struct Peek {
        uint32_t tokens = 0;
        uint32_t evictable_blocks = 0;
    };
    Peek look(std::string_view space, std::span<const int32_t> tokens) const;

    // Gives the tree the blocks of `tokens`, tokens.size() / block_tokens of them (a last incomplete
    // block is not cached; its block stays the caller's). Returns how many leading blocks the tree
    // holds already: of those the caller keeps its own duplicates [those not taken from a match],
    // the rest now belong to the tree. `node` is the end of the inserted path.
    struct Inserted {
        uint32_t existing_blocks = 0;
        RadixNode* node = nullptr;
    };
    Inserted insert(std::string_view space, std::span<const int32_t> tokens,
                    std::span<const int32_t> blocks);
    // Blocks of the path from its root to `node`.
    std::vector<int32_t> blocks_of(const RadixNode* node) const;
    // Of them those that one lock alone protects: what unlocking the node makes evictable.
    uint32_t sole_blocks(const RadixNode* node) const;

    // A lock protects the path from the root to the node. Locks nest.
    void lock(RadixNode* node);
    void unlock(RadixNode* node);

    // Gives `blocks` blocks back to the pool, or as many as are evictable; returns how many. A leaf
    // loses blocks from its end, so what remains of it can still be hit.
    uint32_t evict(uint32_t blocks);
    // Everything that is not locked.
    uint32_t clear();

    const RadixStats& stats() const noexcept { return stats_; }
    // Walks the whole tree and checks every invariant; for tests. Empty when it holds.
    std::string check() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
    RadixStats stats_;
};

}  // namespace tenon::kv
