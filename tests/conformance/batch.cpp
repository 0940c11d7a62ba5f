#include "tests/conformance/batch.h"

#include <numeric>

namespace tenon::conformance {

Sequences Sequences::make(size_t count, uint32_t block_tokens, uint32_t table_width,
                          Random* random) {
    Sequences made;
    made.block_tokens = block_tokens;
    made.table_width = table_width;
    std::vector<int32_t> ids(count * table_width);
    std::iota(ids.begin(), ids.end(), 0);
    if (random != nullptr) random->shuffle(ids);
    for (size_t s = 0; s < count; ++s) {
        const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(s * table_width);
        made.blocks.emplace_back(begin, begin + table_width);
    }
    made.lengths.assign(count, 0);
    return made;
}

void fill_batch(Sequences& sequences, const std::vector<int32_t>& counts, Step& step) {
    std::vector<int32_t> positions, kv_slot, table, kv_len;
    std::vector<int32_t> q_start{0};
    for (size_t s = 0; s < counts.size(); ++s) {
        if (counts[s] == 0) continue;
        for (int32_t i = 0; i < counts[s]; ++i) {
            const auto position = static_cast<uint32_t>(sequences.lengths[s]++);
            const int32_t block = sequences.blocks[s][position / sequences.block_tokens];
            positions.push_back(static_cast<int32_t>(position));
            kv_slot.push_back(
                static_cast<int32_t>(static_cast<uint32_t>(block) * sequences.block_tokens +
                                     position % sequences.block_tokens));
        }
        table.insert(table.end(), sequences.blocks[s].begin(), sequences.blocks[s].end());
        kv_len.push_back(sequences.lengths[s]);
        q_start.push_back(q_start.back() + counts[s]);
    }
    step.set(kPositions, positions);
    step.set(kKvSlot, kv_slot);
    step.set(kBlockTable, table);
    step.set(kKvLen, kv_len);
    step.set(kQStart, q_start);
    step.symbols.resize(std::max<size_t>(step.symbols.size(), 2));
    step.symbols[0] = q_start.back();
    step.symbols[1] = static_cast<int64_t>(kv_len.size());
}

BatchValues add_batch(ops::ProgramBuilder& b, int64_t tokens_max, int64_t sequences_max,
                      uint32_t table_width) {
    const ops::Dim tokens = ops::Dim::of(b.symbol("T", tokens_max));
    const uint32_t s = b.symbol("S", sequences_max);
    BatchValues v{tokens, s, 0, 0, 0, 0, 0, 0};
    v.positions = b.input("positions", kPositions, TENON_I32, {tokens});
    v.kv_slot = b.input("kv_slot", kKvSlot, TENON_I32, {tokens});
    v.block_table =
        b.input("block_table", kBlockTable, TENON_I32, {ops::Dim::of(s), int64_t{table_width}});
    v.kv_len = b.input("kv_len", kKvLen, TENON_I32, {ops::Dim::of(s)});
    v.q_start = b.input("q_start", kQStart, TENON_I32, {ops::Dim::of(s, 1, 1)});
    v.kv = b.kv();
    return v;
}

}  // namespace tenon::conformance
