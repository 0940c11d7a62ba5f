// bench_kernels [seconds per line]: rates of the matmul and attention kernels on one thread, shapes
// of a 135M model. GEMV rows give packed bytes read per second; GEMM rows integer (or float)
// operations per second.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "kernels/include/tenon/kernels/attention.h"
#include "kernels/include/tenon/kernels/matmul.h"

using namespace tenon::kernels;

namespace {

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// Best seconds per call within the budget.
template <class Call>
double best_time(double budget, Call call) {
    double best = 1e30;
    const double stop = now() + budget;
    do {
        const double begin = now();
        call();
        best = std::min(best, now() - begin);
    } while (now() < stop);
    return best;
}

void bench_matmul(PackedFormat format, Isa isa, uint32_t rows, uint32_t cols, uint32_t tokens,
                  bool fast, double budget) {
    const MatmulEntry* entry = find_matmul(format, isa);
    const MatmulFn fn = !fast                    ? entry->precise
                        : entry->fast != nullptr ? entry->fast
                                                 : entry->rounded;
    if (fn == nullptr) return;
    const PackedLayout layout = plain_layout(format);
    const size_t bytes = group_bytes(layout, cols) * group_count(rows);
    void* weights =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (weights == MAP_FAILED) return;
    madvise(weights, bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < bytes; ++i)
        static_cast<uint8_t*>(weights)[i] = (i * 37) & 0x3b;
    std::vector<float> x(size_t{tokens} * cols, 0.5f);
    std::vector<float> y(size_t{tokens} * rows);
    std::vector<ActivationBlock> activations(size_t{tile_count(tokens)} * (cols / 32));
    find_quantise(isa)->quantise(
        {x.data(), cols, activations.data(), cols / 32, 0, tokens, 0, cols / 32});
    MatmulArgs a{};
    a.weights = weights;
    a.layout = layout;
    a.rows = rows;
    a.cols = cols;
    a.activations = activations.data();
    a.x = x.data();
    a.x_stride = cols;
    a.y = y.data();
    a.y_stride = rows;
    a.alpha = 1.0f;
    a.group_end = group_count(rows);
    a.token_end = tokens;
    const double seconds = best_time(budget, [&] { fn(a); });
    std::printf("%-6s %-7s %-8s %6u x %5u x %4u tokens  %8.1f GB/s  %8.1f Gop/s\n",
                format_name(format), isa_name(isa), fast ? "fast" : "precise", rows, cols, tokens,
                static_cast<double>(bytes) / seconds / 1e9,
                2.0 * rows * cols * tokens / seconds / 1e9);
    munmap(weights, bytes);
}

void bench_attention(KvType type, Isa isa, uint32_t context, uint32_t tokens, double budget) {
    const KvGeometry g{3, 64, 64, 32};
    std::vector<uint8_t> pool((context / 32 + 1) * kv_block_bytes(type, g), 0);
    std::vector<int32_t> table(context / 32 + 1);
    for (size_t i = 0; i < table.size(); ++i)
        table[i] = static_cast<int32_t>(i);
    std::vector<float> q(size_t{tokens} * 576, 0.1f);
    std::vector<float> out(q.size());
    const AttentionEntry* entry = find_attention(type, isa);
    const double seconds = best_time(budget, [&] {
        for (uint32_t head = 0; head < 9; head += 3) {
            AttentionArgs a{};
            a.q = q.data();
            a.out = out.data();
            a.q_stride = a.out_stride = 576;
            a.layer = pool.data();
            a.block_table = table.data();
            a.geometry = g;
            a.q_heads = 9;
            a.first_position = context - tokens;
            a.token_end = tokens;
            a.head_begin = head;
            a.head_end = head + 3;
            a.scale = 0.125f;
            entry->attend(a);
        }
    });
    const double seen = (context - tokens) + (tokens + 1) / 2.0;
    std::printf("attend %-7s %-8s context %5u, %4u tokens  %8.1f us/token  %8.1f Gflop/s\n",
                isa_name(isa), kv_type_name(type), context, tokens, seconds / tokens * 1e6,
                4.0 * 9 * 64 * seen * tokens / seconds / 1e9);
}

}  // namespace

int main(int argc, char** argv) {
    const double budget = argc > 1 ? std::atof(argv[1]) : 0.05;
    for (size_t level = kIsaCount; level-- > 0;) {
        const Isa isa = static_cast<Isa>(level);
        if (isa > best_isa()) continue;
        const double seconds = isa == Isa::kScalar ? budget / 5 : budget;
        for (PackedFormat format : {PackedFormat::kQ4_0, PackedFormat::kQ4_1, PackedFormat::kQ8_0,
                                    PackedFormat::kQ8_1, PackedFormat::kF16, PackedFormat::kBf16})
            for (bool fast : {true, false}) {
                bench_matmul(format, isa, 49152, 576, 1, fast, seconds * 4);
                for (uint32_t tokens : {1u, 4u, 8u, 64u})
                    bench_matmul(format, isa, 1536, 576, tokens, fast, seconds);
                bench_matmul(format, isa, 576, 1536, 256, fast, seconds);
            }
        for (size_t t = 0; t < kKvTypeCount; ++t) {
            const KvType type = static_cast<KvType>(t);
            bench_attention(type, isa, 512, 512, seconds);
            bench_attention(type, isa, 256, 1, seconds);
            bench_attention(type, isa, 4096, 1, seconds);
        }
    }
    return 0;
}
