#include "core/kv/radix_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <unordered_map>

namespace tenon::kv {

// Links that order the nodes nobody locks; the oldest is first.
struct RadixLinks {
    RadixLinks* before = this;
    RadixLinks* after = this;

    bool linked() const { return after != this; }
    void unlink() {
        before->after = after;
        after->before = before;
        before = after = this;
    }
    void link_before(RadixLinks& place) {
        before = place.before;
        after = &place;
        before->after = this;
        place.before = this;
    }
};

class RadixNode : public RadixLinks {
public:
    bool is_root() const { return parent == nullptr; }

    RadixNode* parent = nullptr;
    std::vector<int32_t> tokens;  // of the edge from the parent, whole blocks; empty in a root
    std::vector<int32_t> blocks;
    uint32_t children = 0;
    uint32_t locks = 0;  // of this node and of every node below it, so never more than the parent's
    uint32_t hits = 0;   // matches that passed; never more than the parent's
    uint64_t key = 0;    // of the parent and the first block of tokens
    RadixNode* chained = nullptr;        // next node of the same bucket
    const std::string* space = nullptr;  // of a root
};

namespace {

// Leaves hit this often are evicted last under kSlru.
constexpr uint32_t kWorthKeeping = 2;

struct SpaceHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

uint64_t clock_seed(const void* address) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    return static_cast<uint64_t>(now) * 0x9e3779b97f4a7c15u ^ reinterpret_cast<uintptr_t>(address);
}

uint64_t mixed(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0xd6e8feb86659fd93u;
    return hash ^ (hash >> 32);
}

}  // namespace

// Nodes that nobody locks stand in `order` [two lists under kSlru], touched paths last and each child
// before its parent. So the first node is always the childless one that was touched longest ago:
// matching, locking and evicting need neither a search nor a heap.
struct RadixTree::Impl {
    Impl(BlockPool& p, const RadixOptions& o, RadixStats& s)
        : pool(p),
          stats(s),
          block_tokens(std::max(o.block_tokens, 1u)),
          eviction(o.eviction),
          seed(clock_seed(this)),
          buckets(std::bit_ceil(size_t{p.count()} + 1)) {}

    ~Impl() {
        for (RadixNode* node : buckets) {
            while (node != nullptr) {
                RadixNode* const next = node->chained;
                for (const int32_t block : node->blocks)
                    pool.give_back(block);
                node->unlink();
                delete node;
                node = next;
            }
        }
    }

    // Where `tokens` lead: the deepest node of which at least one block matches, and how many do.
    struct Walk {
        RadixNode* node;
        size_t in_node;  // blocks of node->blocks that match; all of them but in the last node
        size_t matched;  // blocks from the root
    };

    uint64_t key_of(const RadixNode* parent, const int32_t* first) const {
        uint64_t hash = mixed(seed, reinterpret_cast<uintptr_t>(parent));
        uint32_t i = 0;
        for (; i + 2 <= block_tokens; i += 2) {
            uint64_t word;
            std::memcpy(&word, first + i, sizeof word);
            hash = mixed(hash, word);
        }
        if (i < block_tokens) hash = mixed(hash, static_cast<uint32_t>(first[i]));
        return hash;
    }

    RadixNode*& bucket(uint64_t key) { return buckets[key & (buckets.size() - 1)]; }

    RadixNode* child(const RadixNode* parent, const int32_t* first) const {
        const uint64_t key = key_of(parent, first);
        RadixNode* node = buckets[key & (buckets.size() - 1)];
        while (node != nullptr &&
               (node->key != key || node->parent != parent ||
                std::memcmp(node->tokens.data(), first, block_tokens * sizeof(int32_t)) != 0)) {
            node = node->chained;
        }
        return node;
    }

    void hang(RadixNode* node, RadixNode* parent) {
        node->parent = parent;
        node->key = key_of(parent, node->tokens.data());
        node->chained = std::exchange(bucket(node->key), node);
        ++parent->children;
    }

    void unhang(RadixNode* node) {
        RadixNode** link = &bucket(node->key);
        while (*link != node)
            link = &(*link)->chained;
        *link = node->chained;
        --node->parent->children;
    }

    RadixLinks& list_of(const RadixNode* node) {
        return order[eviction == Eviction::kSlru && node->hits >= kWorthKeeping ? 1 : 0];
    }

    Walk walk(RadixNode* root, const int32_t* tokens, size_t blocks) const {
        Walk at{root, 0, 0};
        while (at.matched < blocks && at.in_node == at.node->blocks.size()) {
            const int32_t* const here = tokens + at.matched * block_tokens;
            RadixNode* const next = child(at.node, here);
            if (next == nullptr) break;
            at.node = next;
            const size_t limit = std::min(blocks - at.matched, next->blocks.size()) * block_tokens;
            const int32_t* const edge = next->tokens.data();
            const auto same =
                std::memcmp(edge, here, limit * sizeof(int32_t)) == 0
                    ? limit
                    : static_cast<size_t>(std::mismatch(edge, edge + limit, here).first - edge);
            at.in_node = same / block_tokens;
            at.matched += at.in_node;
        }
        return at;
    }

    RadixNode* root_of(std::string_view space) const {
        const auto found = roots.find(space);
        return found == roots.end() ? nullptr : found->second.get();
    }

    // A new parent takes the first `head_blocks` blocks of the node, which keeps its address. The
    // caller touches the new one: that gives it its place in the order.
    RadixNode* split(RadixNode* node, size_t head_blocks) {
        const auto cut = static_cast<std::ptrdiff_t>(head_blocks);
        const auto cut_tokens = static_cast<std::ptrdiff_t>(head_blocks * block_tokens);
        auto* const head = new RadixNode;
        head->tokens.assign(node->tokens.begin(), node->tokens.begin() + cut_tokens);
        head->blocks.assign(node->blocks.begin(), node->blocks.begin() + cut);
        head->locks = node->locks;
        head->hits = node->hits;
        RadixNode* const parent = node->parent;
        unhang(node);
        node->tokens.erase(node->tokens.begin(), node->tokens.begin() + cut_tokens);
        node->blocks.erase(node->blocks.begin(), node->blocks.begin() + cut);
        hang(head, parent);
        hang(node, head);
        ++stats.nodes;
        ++stats.splits;
        return head;
    }

    // The node that ends exactly where the walk ended.
    RadixNode* settle(const Walk& at) {
        return at.in_node == at.node->blocks.size() ? at.node : split(at.node, at.in_node);
    }

    void touch(RadixNode* node, uint32_t hits) {
        for (; !node->is_root(); node = node->parent) {
            node->hits += node->hits < UINT32_MAX ? hits : 0;
            if (node->locks != 0) continue;
            node->unlink();
            node->link_before(list_of(node));
        }
    }

    std::vector<int32_t> path(const RadixNode* node) const {
        size_t size = 0;
        for (const RadixNode* n = node; n != nullptr; n = n->parent)
            size += n->blocks.size();
        std::vector<int32_t> blocks(size);
        for (const RadixNode* n = node; n != nullptr; n = n->parent) {
            size -= n->blocks.size();
            std::copy(n->blocks.begin(), n->blocks.end(),
                      blocks.begin() + static_cast<std::ptrdiff_t>(size));
        }
        return blocks;
    }

    // A space costs memory only while something is cached or locked in it.
    void drop_if_idle(RadixNode* root) {
        if (root == &nowhere || root->children != 0 || root->locks != 0) return;
        roots.erase(roots.find(*root->space));
    }

    // Takes blocks from the end of the oldest leaf; its beginning stays useful.
    uint32_t evict_some(RadixNode* leaf, uint32_t wanted) {
        const auto taken = static_cast<uint32_t>(std::min<size_t>(wanted, leaf->blocks.size()));
        for (uint32_t i = 0; i < taken; ++i) {
            pool.give_back(leaf->blocks.back());
            leaf->blocks.pop_back();
        }
        if (!leaf->blocks.empty()) {
            leaf->tokens.resize(leaf->blocks.size() * block_tokens);
        } else {
            RadixNode* const parent = leaf->parent;
            unhang(leaf);
            leaf->unlink();
            delete leaf;
            --stats.nodes;
            if (parent->is_root()) drop_if_idle(parent);
        }
        stats.evictable_blocks -= taken;
        stats.evicted_blocks += taken;
        ++stats.changes;
        return taken;
    }

    BlockPool& pool;
    RadixStats& stats;
    const uint32_t block_tokens;
    const Eviction eviction;
    const uint64_t seed;  // keys differ from tree to tree: nobody can aim at one bucket
    std::vector<RadixNode*>
        buckets;  // owned; every node but the roots. A node has a block at least
    RadixLinks order[2];
    std::unordered_map<std::string, std::unique_ptr<RadixNode>, SpaceHash, std::equal_to<>> roots;
    RadixNode nowhere;  // the root of every space that holds nothing
    uint64_t stray_unlocks = 0;
};

RadixTree::RadixTree(BlockPool& pool, RadixOptions options)
    : impl_(std::make_unique<Impl>(pool, options, stats_)) {}

RadixTree::~RadixTree() = default;

namespace {

// One token is left to compute.
size_t matchable_blocks(std::span<const int32_t> tokens, uint32_t block_tokens) {
    return tokens.empty() ? 0 : (tokens.size() - 1) / block_tokens;
}

}  // namespace

RadixMatch RadixTree::match(std::string_view space, std::span<const int32_t> tokens) {
    RadixNode* const root = impl_->root_of(space);
    if (root == nullptr) return {{}, &impl_->nowhere};
    const size_t limit = matchable_blocks(tokens, impl_->block_tokens);
    const Impl::Walk at = impl_->walk(root, tokens.data(), limit);
    RadixNode* const node = impl_->settle(at);
    impl_->touch(node, 1);
    stats_.hit_blocks += at.matched;
    return {impl_->path(node), node};
}

uint32_t RadixTree::peek(std::string_view space, std::span<const int32_t> tokens) const {
    RadixNode* const root = impl_->root_of(space);
    if (root == nullptr) return 0;
    const size_t limit = matchable_blocks(tokens, impl_->block_tokens);
    return static_cast<uint32_t>(impl_->walk(root, tokens.data(), limit).matched *
                                 impl_->block_tokens);
}

RadixTree::Peek RadixTree::look(std::string_view space, std::span<const int32_t> tokens) const {
    RadixNode* const root = impl_->root_of(space);
    if (root == nullptr) return {};
    const size_t limit = matchable_blocks(tokens, impl_->block_tokens);
    const Impl::Walk at = impl_->walk(root, tokens.data(), limit);
    Peek peek{static_cast<uint32_t>(at.matched * impl_->block_tokens), 0};
    size_t blocks = at.in_node;
    // Locks grow towards the root.
    for (const RadixNode* node = at.node; !node->is_root() && node->locks == 0;
         node = node->parent) {
        peek.evictable_blocks += static_cast<uint32_t>(blocks);
        blocks = node->parent->blocks.size();
    }
    return peek;
}

uint32_t RadixTree::sole_blocks(const RadixNode* node) const {
    size_t blocks = 0;
    for (; node != nullptr && !node->is_root() && node->locks == 1; node = node->parent)
        blocks += node->blocks.size();
    return static_cast<uint32_t>(blocks);
}

RadixTree::Inserted RadixTree::insert(std::string_view space, std::span<const int32_t> tokens,
                                      std::span<const int32_t> blocks) {
    const size_t count = std::min(tokens.size() / impl_->block_tokens, blocks.size());
    RadixNode* root = impl_->root_of(space);
    if (root == nullptr) {
        if (count == 0) return {0, &impl_->nowhere};
        const auto made = impl_->roots.emplace(space, std::make_unique<RadixNode>()).first;
        root = made->second.get();
        root->space = &made->first;
    }
    const Impl::Walk at = impl_->walk(root, tokens.data(), count);
    RadixNode* node = impl_->settle(at);
    if (at.matched < count) {
        auto* const leaf = new RadixNode;
        const auto new_tokens = tokens.subspan(at.matched * impl_->block_tokens,
                                               (count - at.matched) * impl_->block_tokens);
        const auto new_blocks = blocks.subspan(at.matched, count - at.matched);
        leaf->tokens.assign(new_tokens.begin(), new_tokens.end());
        leaf->blocks.assign(new_blocks.begin(), new_blocks.end());
        impl_->hang(leaf, node);
        node = leaf;
        ++stats_.nodes;
        stats_.evictable_blocks += new_blocks.size();
        stats_.inserted_blocks += new_blocks.size();
        ++stats_.changes;
    }
    impl_->touch(node, 0);
    return {static_cast<uint32_t>(at.matched), node};
}

std::vector<int32_t> RadixTree::blocks_of(const RadixNode* node) const { return impl_->path(node); }

void RadixTree::lock(RadixNode* node) {
    for (; node != nullptr; node = node->parent) {
        if (node->locks++ != 0 || node->is_root()) continue;
        node->unlink();
        ++stats_.changes;
        stats_.evictable_blocks -= node->blocks.size();
        stats_.protected_blocks += node->blocks.size();
    }
}

void RadixTree::unlock(RadixNode* node) {
    if (node->locks == 0) {
        ++impl_->stray_unlocks;
        return;
    }
    while (!node->is_root()) {
        if (--node->locks == 0) {
            ++stats_.changes;
            node->link_before(impl_->list_of(node));
            stats_.evictable_blocks += node->blocks.size();
            stats_.protected_blocks -= node->blocks.size();
        }
        node = node->parent;
    }
    --node->locks;
    impl_->drop_if_idle(node);
}

uint32_t RadixTree::evict(uint32_t blocks) {
    uint32_t freed = 0;
    for (RadixLinks& list : impl_->order) {
        while (freed < blocks && list.linked())
            freed += impl_->evict_some(static_cast<RadixNode*>(list.after), blocks - freed);
    }
    return freed;
}

uint32_t RadixTree::clear() { return evict(UINT32_MAX); }

std::string RadixTree::check() const {
    struct Seen {
        uint32_t children = 0;
        uint64_t locks = 0;  // of the children
        uint64_t place = 0;  // in the order of eviction, from 1; 0 where locked
    };
    std::unordered_map<const RadixNode*, Seen> nodes;
    std::vector<bool> owned(impl_->pool.count(), false);
    uint64_t count = 0, evictable = 0, locked = 0, linked = 0;
    for (const RadixLinks& list : impl_->order) {
        for (const RadixLinks* link = list.after; link != &list; link = link->after) {
            const auto* const node = static_cast<const RadixNode*>(link);
            nodes[node].place = ++linked;
            if (&impl_->list_of(node) != &list) return "a node stands in the other list";
        }
    }
    for (size_t slot = 0; slot < impl_->buckets.size(); ++slot) {
        for (const RadixNode* n = impl_->buckets[slot]; n != nullptr; n = n->chained) {
            ++count;
            (n->locks == 0 ? evictable : locked) += n->blocks.size();
            if (n->is_root() || n->blocks.empty() ||
                n->tokens.size() != n->blocks.size() * impl_->block_tokens) {
                return fmt::format("a node has {} blocks and {} tokens", n->blocks.size(),
                                   n->tokens.size());
            }
            if (impl_->child(n->parent, n->tokens.data()) != n) {
                return "a node is not what its key finds, or two siblings begin alike";
            }
            if (n->linked() != (n->locks == 0)) return "a locked node stands among the evictable";
            Seen& above = nodes[n->parent];
            ++above.children;
            above.locks += n->locks;
            if (!n->parent->is_root() && n->hits > n->parent->hits)
                return "a node has more hits than its parent";
            for (const int32_t block : n->blocks) {
                const auto at = static_cast<size_t>(block);
                if (at >= owned.size() || owned[at] || impl_->pool.is_free(block)) {
                    return fmt::format("block {} of a node is free, another's or none", block);
                }
                owned[at] = true;
            }
        }
    }
    for (size_t slot = 0; slot < impl_->buckets.size(); ++slot) {
        for (const RadixNode* n = impl_->buckets[slot]; n != nullptr; n = n->chained) {
            const Seen& seen = nodes[n];
            if (seen.children != n->children || seen.locks > n->locks) {
                return fmt::format("a node counts {} children and {} locks; they are {} and {}",
                                   n->children, n->locks, seen.children, seen.locks);
            }
            const uint64_t above = nodes[n->parent].place;
            if (above != 0 && above < seen.place) return "a parent would be evicted first";
        }
    }
    for (const auto& [space, root] : impl_->roots) {
        const Seen& seen = nodes[root.get()];
        if (seen.children != root->children || seen.locks > root->locks)
            return fmt::format("the root of space '{}' miscounts", space);
        if (root->children == 0 && root->locks == 0)
            return fmt::format("the space '{}' holds nothing", space);
    }
    if (count != stats_.nodes || evictable != stats_.evictable_blocks ||
        locked != stats_.protected_blocks) {
        return fmt::format(
            "the counters say {} nodes, {} evictable and {} protected blocks; there "
            "are {}, {} and {}",
            stats_.nodes, stats_.evictable_blocks, stats_.protected_blocks, count, evictable,
            locked);
    }
    if (impl_->stray_unlocks != 0)
        return fmt::format("{} unlocks had no lock", impl_->stray_unlocks);
    return {};
}

}  // namespace tenon::kv
