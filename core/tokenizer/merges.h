// Byte-pair merges: which two neighbouring tokens become one, and in which order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tenon::tokenizer {

struct Merge {
    int32_t left = -1;
    int32_t right = -1;
    int32_t merged = -1;
    int32_t rank = 0;  // lower goes first
};

// Pair of ids -> rank and merged id. Immutable once filled: any thread may read.
class MergeTable {
public:
    // Room for `count` merges; forgets what was there.
    void reserve(size_t count);
    // Keeps the first of two merges with the same pair. False: the table holds so many pairs with
    // the same hash that the file was made for it. reserve() gave room for it.
    [[nodiscard]] bool insert(const Merge& merge);
    // Null: this pair never merges. A negative id never does.
    const Merge* find(int32_t left, int32_t right) const noexcept;
    size_t size() const noexcept { return size_; }

private:
    std::vector<Merge>
        slots_;  // open addressing, a power of two, at most 2/3 full; left < 0: empty
    size_t size_ = 0;
};

// Merges the ids of one word until no pair of neighbours is in the table: always the pair of lowest
// rank, the leftmost of equals. n ids cost O(n log n) and about 24 bytes each. Keeps its memory between words.
// Thread-compatible: one per call of encode.
class WordMerger {
public:
    explicit WordMerger(const MergeTable& table) : table_(&table) {}

    // Appends the result to `out`. Ids of -1 (a byte without a token) merge with nothing and are
    // left out.
    void merge(std::span<const int32_t> ids, std::vector<int32_t>& out);

private:
    void merge_short(std::span<const int32_t> ids, std::vector<int32_t>& out);
    void merge_long(std::span<const int32_t> ids, std::vector<int32_t>& out);
    void offer(int32_t left, int32_t right);

    struct Symbol {
        int32_t id;          // kGone: swallowed by its left neighbour
        int32_t prev, next;  // -1: none
    };
    const MergeTable* table_;  // not owned
    std::vector<Symbol> symbols_;
    std::vector<uint64_t> offers_;  // a heap: rank << 32 | position of the left symbol
};

}  // namespace tenon::tokenizer
