// A naive engine over core/kv beside a naive model of the cache: every answer of the tree is compared,
// every block must have one owner and hold what its reader expects. Driven by random numbers (the
// unit test) or by bytes (the fuzz entry).
#pragma once

#include "core/kv/block_table.h"
#include "core/kv/radix_tree.h"

#include <fmt/format.h>

#include <array>
#include <functional>
#include <map>
#include <optional>

namespace tenon::kv {

// The cache as a map from prefixes to blocks; eviction is a search through all of it.
class NaiveCache {
public:
    NaiveCache(uint32_t block_tokens, Eviction eviction)
        : block_tokens_(block_tokens), eviction_(eviction) {}

    // Name of the first `blocks` blocks of tokens.
    std::string name(std::string_view space, const std::vector<int32_t>& tokens,
                     size_t blocks) const {
        std::string text(space);
        text.push_back('\0');
        text.append(reinterpret_cast<const char*>(tokens.data()), blocks * block_tokens_ * 4);
        return text;
    }

    std::vector<int32_t> find(std::string_view space, const std::vector<int32_t>& tokens,
                              size_t limit) const {
        std::vector<int32_t> blocks;
        while (blocks.size() < limit) {
            const auto at = entries_.find(name(space, tokens, blocks.size() + 1));
            if (at == entries_.end()) break;
            blocks.push_back(at->second.block);
        }
        return blocks;
    }

    void touch(std::string_view space, const std::vector<int32_t>& tokens, size_t blocks,
               uint32_t hits) {
        ++clock_;
        for (size_t i = 1; i <= blocks; ++i) {
            Entry& entry = entries_.at(name(space, tokens, i));
            entry.time = clock_;
            entry.hits += hits;
        }
    }

    void add(std::string_view space, const std::vector<int32_t>& tokens, size_t depth,
             int32_t block) {
        entries_[name(space, tokens, depth)] = {block, depth, 0, 0, 0};
    }

    void lock(std::string_view space, const std::vector<int32_t>& tokens, size_t blocks) {
        for (size_t i = 1; i <= blocks; ++i)
            ++entries_.at(name(space, tokens, i)).locks;
    }

    void unlock(std::string_view space, const std::vector<int32_t>& tokens, size_t blocks) {
        ++clock_;
        for (size_t i = 1; i <= blocks; ++i) {
            Entry& entry = entries_.at(name(space, tokens, i));
            if (--entry.locks == 0) entry.time = clock_;
        }
    }

    // The block that goes next, if one may.
    std::optional<int32_t> evict() {
        auto victim = entries_.end();
        for (auto at = entries_.begin(); at != entries_.end(); ++at) {
            if (at->second.locks == 0 &&
                (victim == entries_.end() || goes_before(at->second, victim->second))) {
                victim = at;
            }
        }
        if (victim == entries_.end()) return std::nullopt;
        const int32_t block = victim->second.block;
        entries_.erase(victim);
        return block;
    }

    uint64_t count(bool locked) const {
        uint64_t blocks = 0;
        for (const auto& [prefix, entry] : entries_)
            blocks += (entry.locks != 0) == locked;
        return blocks;
    }

    template <class Visit>
    void each_block(Visit visit) const {
        for (const auto& [prefix, entry] : entries_)
            visit(entry.block);
    }

private:
    struct Entry {
        int32_t block;
        size_t depth;  // blocks from the root, from 1
        uint64_t time;
        uint32_t hits, locks;
    };

    bool goes_before(const Entry& a, const Entry& b) const {
        const bool kept_a = eviction_ == Eviction::kSlru && a.hits >= 2;
        const bool kept_b = eviction_ == Eviction::kSlru && b.hits >= 2;
        if (kept_a != kept_b) return kept_b;
        return a.time != b.time ? a.time < b.time : a.depth > b.depth;
    }

    uint32_t block_tokens_;
    Eviction eviction_;
    uint64_t clock_ = 0;
    std::map<std::string, Entry> entries_;
};

struct LifeOptions {
    uint32_t blocks = 48;
    uint32_t block_tokens = 4;
    Eviction eviction = Eviction::kLru;
};

class RadixLife {
public:
    using Source = std::function<uint32_t()>;  // any number; 0 for ever is allowed

    RadixLife(const LifeOptions& options, Source source)
        : options_(options),
          source_(std::move(source)),
          pool_(options.blocks, 1),
          tree_(pool_, {options.block_tokens, options.eviction}),
          naive_(options.block_tokens, options.eviction),
          written_(options.blocks, 0) {}

    // One operation; empty when everything agreed, otherwise what did not. Stop at the first.
    const std::string& step() {
        switch (below(16)) {
            case 0:
            case 1:
            case 2: admit(); break;
            case 3:
            case 4:
            case 5:
            case 6: compute(true); break;
            case 7: compute(false); break;
            case 8:
            case 9: decode(); break;
            case 10: leave(true); break;
            case 11: leave(false); break;
            case 12: retract(); break;
            case 13: evict(1 + below(6)); break;
            case 14: visit(); break;
            default: below(24) == 0 ? clear() : visit(); break;
        }
        ++steps_;
        check_counts();
        if (steps_ % 16 == 0) check_owners();
        return error_;
    }

    // Ends every request and empties the cache: nothing may be missing.
    const std::string& end() {
        while (!running_.empty())
            leave(below(2) == 0);
        expect(tree_.stats().protected_blocks == 0, "idle, yet blocks are protected");
        check_owners();
        evict(options_.blocks);
        expect(pool_.free_count() == options_.blocks, "the idle pool is not full");
        expect(tree_.stats().nodes == 0, "the cleared tree has nodes");
        return error_;
    }

    uint64_t hit_blocks() const { return tree_.stats().hit_blocks; }
    uint64_t evicted_blocks() const { return tree_.stats().evicted_blocks; }
    uint64_t splits() const { return tree_.stats().splits; }
    uint64_t retracted() const { return retracted_; }

private:
    struct Request {
        std::string_view space;
        std::vector<int32_t> tokens;
        size_t computed = 0;  // tokens whose KV is written
        BlockTable table;
        RadixNode* node = nullptr;
        size_t locked = 0;  // blocks of the path that it locks
    };
    struct Waiting {
        std::string_view space;
        std::vector<int32_t> tokens;
    };

    uint32_t below(uint32_t limit) { return source_() % limit; }
    size_t pick() { return below(static_cast<uint32_t>(running_.size())); }

    void expect(bool holds, std::string_view what) {
        if (!holds && error_.empty()) error_ = fmt::format("step {}: {}", steps_, what);
    }

    // A prompt that often begins like an earlier one.
    Waiting invent() {
        static constexpr std::array<std::string_view, 4> kSpaces = {"", "a", "adapter", "ab"};
        Waiting made{kSpaces[below(8) < 5 ? 0 : below(4)], {}};
        if (!known_.empty() && below(4) != 0) {
            made.tokens = known_[below(static_cast<uint32_t>(known_.size()))];
            made.tokens.resize(below(static_cast<uint32_t>(made.tokens.size()) + 1));
        }
        const uint32_t more = below(5 * options_.block_tokens) + made.tokens.empty();
        for (uint32_t i = 0; i < more; ++i)
            made.tokens.push_back(static_cast<int32_t>(below(3)));
        if (made.tokens.size() > longest()) made.tokens.resize(longest());
        if (known_.size() < 12) {
            known_.push_back(made.tokens);
        } else {
            known_[below(12)] = made.tokens;
        }
        return made;
    }

    size_t longest() const { return size_t{options_.blocks} * options_.block_tokens / 3 + 1; }

    RadixMatch matched(const Waiting& prompt) {
        const size_t limit =
            prompt.tokens.empty() ? 0 : (prompt.tokens.size() - 1) / options_.block_tokens;
        const auto wanted = naive_.find(prompt.space, prompt.tokens, limit);
        const uint32_t peeked = tree_.peek(prompt.space, prompt.tokens);
        RadixMatch match = tree_.match(prompt.space, prompt.tokens);
        naive_.touch(prompt.space, prompt.tokens, wanted.size(), 1);
        expect(match.blocks == wanted, "match finds other blocks than the model");
        expect(peeked == wanted.size() * options_.block_tokens, "peek is not what match finds");
        expect(tree_.blocks_of(match.node) == wanted, "the node does not end where the match does");
        return match;
    }

    void visit() { matched(invent()); }

    void admit() {
        if (running_.size() >= 8) return leave(true);
        Waiting prompt;
        if (!waiting_.empty() && below(2) == 0) {
            prompt = std::move(waiting_.back());
            waiting_.pop_back();
        } else {
            prompt = invent();
        }
        const RadixMatch match = matched(prompt);
        tree_.lock(match.node);
        naive_.lock(prompt.space, prompt.tokens, match.blocks.size());
        Request request{prompt.space,
                        std::move(prompt.tokens),
                        match.blocks.size() * options_.block_tokens,
                        BlockTable(pool_, options_.block_tokens),
                        match.node,
                        match.blocks.size()};
        request.table.borrow(match.blocks);
        running_.push_back(std::move(request));
        check_contents(running_.back());
    }

    void compute(bool insert_after) {
        if (running_.empty()) return admit();
        const size_t index = pick();
        const size_t left = running_[index].tokens.size() - running_[index].computed;
        if (left == 0) return;
        advance(index, std::min<size_t>(left, 1 + below(3 * options_.block_tokens)), insert_after);
    }

    void decode() {
        if (running_.empty()) return;
        const size_t index = pick();
        Request& request = running_[index];
        if (request.computed < request.tokens.size()) return compute(true);
        if (request.tokens.size() >= longest()) return leave(index, true);
        request.tokens.push_back(static_cast<int32_t>(below(3)));
        advance(index, 1, false);
    }

    // Writes KV of `count` more tokens; retracts the newest others when blocks run out.
    void advance(size_t index, size_t count, bool insert_after) {
        const auto target = static_cast<uint32_t>(running_[index].computed + count);
        while (!running_[index].table.grow(target).ok()) {
            const size_t have = running_[index].table.blocks().size() + pool_.free_count();
            const size_t need = (target + options_.block_tokens - 1) / options_.block_tokens - have;
            if (evict(static_cast<uint32_t>(need)) > 0) continue;
            expect(running_.size() > 1, "one request alone does not fit");
            if (running_.size() <= 1) return;
            const size_t other = index == running_.size() - 1 ? 0 : running_.size() - 1;
            release(other, true);
            if (other == 0) --index;
        }
        Request& request = running_[index];
        check_contents(request);
        for (size_t p = request.computed; p < target; ++p) {
            const auto block =
                static_cast<size_t>(request.table.blocks()[p / options_.block_tokens]);
            expect(p / options_.block_tokens >= request.table.borrowed(),
                   "a request writes into a borrowed block");
            written_[block] = content(request, p / options_.block_tokens + 1);
        }
        request.computed = target;
        if (insert_after) insert(request);
    }

    // A finishing request need not lock what it inserts.
    void insert(Request& request, bool lock_it = true) {
        const size_t blocks = request.computed / options_.block_tokens;
        const auto held = naive_.find(request.space, request.tokens, blocks);
        const std::span<const int32_t> tokens(request.tokens.data(), request.computed);
        const auto done = tree_.insert(request.space, tokens, request.table.blocks());
        expect(done.existing_blocks == held.size(), "insert found another length than the model");
        for (size_t i = held.size(); i < blocks; ++i)
            naive_.add(request.space, request.tokens, i + 1, request.table.blocks()[i]);
        naive_.touch(request.space, request.tokens, blocks, 0);
        if (!lock_it) {
            request.table.borrow(tree_.blocks_of(done.node));
            return;
        }
        tree_.lock(done.node);
        naive_.lock(request.space, request.tokens, blocks);
        tree_.unlock(request.node);
        naive_.unlock(request.space, request.tokens, request.locked);
        request.node = done.node;
        request.locked = blocks;
        request.table.borrow(tree_.blocks_of(done.node));
        expect(request.table.borrowed() == blocks, "an inserted block is still the request's own");
        check_contents(request);
    }

    void leave(bool finished) {
        if (!running_.empty()) leave(pick(), finished);
    }
    void leave(size_t index, bool finished) {
        if (finished) insert(running_[index], below(2) == 0);
        release(index, false);
    }
    void retract() {
        if (!running_.empty()) release(pick(), true);
    }

    void release(size_t index, bool again) {
        Request& request = running_[index];
        check_contents(request);
        tree_.unlock(request.node);
        naive_.unlock(request.space, request.tokens, request.locked);
        if (again && waiting_.size() < 8) waiting_.push_back({request.space, request.tokens});
        retracted_ += again;
        running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
    }

    void clear() { evict(options_.blocks); }

    uint32_t evict(uint32_t blocks) {
        const uint32_t before = pool_.free_count();
        const uint32_t freed = blocks == options_.blocks ? tree_.clear() : tree_.evict(blocks);
        expect(pool_.free_count() == before + freed, "evict returned another count than it freed");
        uint32_t wanted = 0;
        while (wanted < blocks) {
            const std::optional<int32_t> block = naive_.evict();
            if (!block) break;
            ++wanted;
            expect(pool_.is_free(*block), "evict spared a block that the model evicts first");
        }
        expect(freed == wanted, "evict freed another number of blocks than the model");
        return freed;
    }

    uint64_t content(const Request& request, size_t blocks) const {
        const size_t end = std::min(blocks * options_.block_tokens, request.tokens.size());
        const std::string_view tokens(reinterpret_cast<const char*>(request.tokens.data()),
                                      end * 4);
        const std::hash<std::string_view> hash;
        return hash(tokens) * 31 + hash(request.space);
    }

    // Every whole block that the request reads holds its prefix, whoever wrote it.
    void check_contents(const Request& request) {
        for (size_t i = 0; i < request.computed / options_.block_tokens; ++i) {
            const int32_t block = request.table.blocks()[i];
            expect(!pool_.is_free(block), "a request reads a free block");
            expect(written_[static_cast<size_t>(block)] == content(request, i + 1),
                   "a request reads a block that another sequence wrote");
        }
    }

    void check_counts() {
        uint64_t own = 0;
        for (const Request& request : running_)
            own += request.table.owned();
        const RadixStats& stats = tree_.stats();
        expect(pool_.free_count() + stats.evictable_blocks + stats.protected_blocks + own ==
                   options_.blocks,
               "free + evictable + protected + own is not the pool");
        expect(pool_.misuses() == 0, "a block was given back twice");
        expect(!running_.empty() || stats.protected_blocks == 0, "idle, yet blocks are protected");
    }

    void check_owners() {
        expect(tree_.stats().evictable_blocks == naive_.count(false) &&
                   tree_.stats().protected_blocks == naive_.count(true),
               "the counters are not the model's");
        const std::string broken = tree_.check();
        expect(broken.empty(), broken);
        std::vector<uint32_t> owners(options_.blocks, 0);
        naive_.each_block([&](int32_t block) { ++owners[static_cast<size_t>(block)]; });
        for (const Request& request : running_) {
            const auto& blocks = request.table.blocks();
            for (size_t i = request.table.borrowed(); i < blocks.size(); ++i)
                ++owners[static_cast<size_t>(blocks[i])];
            const auto cached = naive_.find(request.space, request.tokens, request.locked);
            expect(cached.size() == request.table.borrowed() &&
                       std::equal(cached.begin(), cached.end(), blocks.begin()),
                   "a table's borrowed blocks are not those of the cache");
        }
        for (uint32_t b = 0; b < options_.blocks; ++b) {
            if (owners[b] + pool_.is_free(static_cast<int32_t>(b)) != 1)
                expect(false, fmt::format("block {} has {} owners beside the pool", b, owners[b]));
        }
    }

    LifeOptions options_;
    Source source_;
    BlockPool pool_;
    RadixTree tree_;
    NaiveCache naive_;
    std::vector<uint64_t> written_;  // by block: what it holds, hashed
    std::vector<Request> running_;
    std::vector<Waiting> waiting_;
    std::vector<std::vector<int32_t>> known_;
    uint64_t steps_ = 0, retracted_ = 0;
    std::string error_;
};

}  // namespace tenon::kv
