// bench_radix [seconds per line]: the radix tree with 10,000 cached prompts of 1,500 tokens, which
// share 100 beginnings of 704 tokens; blocks of 16. One thread, nanoseconds per call, median.
#include "core/kv/radix_tree.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

using namespace tenon::kv;

namespace {

constexpr uint32_t kBlockTokens = 16, kPrompt = 1500, kShared = 704,
                   kBlocks = kPrompt / kBlockTokens;

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

template <class Call>
void line(const char* name, double budget, Call call) {
    std::vector<double> times;
    const double stop = now() + budget;
    do {
        const double begin = now();
        call();
        times.push_back(now() - begin);
    } while (now() < stop);
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    std::printf("%-44s %8.0f ns  (%zu calls)\n", name, times[times.size() / 2] * 1e9, times.size());
}

}  // namespace

int main(int argc, char** argv) {
    const double budget = argc > 1 ? std::atof(argv[1]) : 1.0;
    std::mt19937 random(1);
    BlockPool pool(10'200 * kBlocks);
    RadixTree tree(pool, {kBlockTokens, Eviction::kLru});
    std::vector<std::vector<int32_t>> shared(100), prompts;
    const auto extend = [&](std::vector<int32_t> tokens, size_t size) {
        while (tokens.size() < size)
            tokens.push_back(static_cast<int32_t>(random() % 49152));
        return tokens;
    };
    for (auto& tokens : shared)
        tokens = extend({}, kShared);
    std::vector<int32_t> blocks;
    const auto insert = [&](const std::vector<int32_t>& tokens) {
        const uint32_t held = tree.peek("", tokens) / kBlockTokens;
        blocks.resize(kBlocks);
        for (uint32_t i = held; i < kBlocks; ++i)
            blocks[i] = *pool.take();
        return tree.insert("", tokens, blocks);
    };
    for (int i = 0; i < 10'000; ++i)
        insert(prompts.emplace_back(extend(shared[static_cast<size_t>(i) % 100], kPrompt)));
    std::printf("%llu nodes, %llu blocks\n", static_cast<unsigned long long>(tree.stats().nodes),
                static_cast<unsigned long long>(tree.stats().evictable_blocks));
    std::vector<std::vector<int32_t>> fresh;
    for (int i = 0; i < 4096; ++i)
        fresh.push_back(extend(shared[random() % 100], kPrompt));
    size_t at = 0;
    line("match, 1,488 tokens hit", budget, [&] { tree.match("", prompts[random() % 10'000]); });
    line("match, lock, unlock", budget, [&] {
        RadixNode* const node = tree.match("", prompts[random() % 10'000]).node;
        tree.lock(node);
        tree.unlock(node);
    });
    line("peek, 704 tokens hit", budget, [&] { tree.peek("", fresh[random() % 4096]); });
    line("match (704 hit), insert 49 blocks, evict 49", budget, [&] {
        auto& tokens = fresh[at % 4096];
        tokens[kShared] = 50'000 + static_cast<int32_t>(at++);  // never seen before
        tree.match("", tokens);
        tree.evict(kBlocks - insert(tokens).existing_blocks);
    });
    return 0;
}
