// A llama-like layer at toy size, for the tests of this room: 2 query heads on 1 KV head of 4.
#pragma once

#include <tenon/abi.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/ops/interpreter.h"
#include "core/ops/program.h"

namespace tenon::ops::test {

inline constexpr int64_t kVocabulary = 11;
inline constexpr int64_t kColumns = 8;
inline constexpr int64_t kHidden = 12;

enum Slot : uint32_t { kIds, kPositions, kKvSlot, kTable, kKvLen, kQStart, kLogits, kSlots };
enum Entry : uint32_t {
    kEmbedding,
    kNorm,
    kWq,
    kWk,
    kWv,
    kInvFreq,
    kWo,
    kGate,
    kUp,
    kDown,
    kBias,
    kEntries
};

inline Program small_program() {
    ProgramBuilder b;
    const Dim tokens = Dim::of(b.symbol("T", 8));
    const uint32_t s = b.symbol("S", 2);
    const ValueId ids = b.input("ids", kIds, TENON_I32, {tokens});
    const ValueId positions = b.input("positions", kPositions, TENON_I32, {tokens});
    const ValueId kv_slot = b.input("kv_slot", kKvSlot, TENON_I32, {tokens});
    const ValueId table = b.input("block_table", kTable, TENON_I32, {Dim::of(s), 2});
    const ValueId kv_len = b.input("kv_len", kKvLen, TENON_I32, {Dim::of(s)});
    const ValueId q_start = b.input("q_start", kQStart, TENON_I32, {Dim::of(s, 1, 1)});
    const ValueId kv = b.kv();
    const ValueId embedding = b.weight("embedding", kEmbedding, {kVocabulary, kColumns});
    const ValueId norm = b.weight("norm", kNorm, {kColumns});
    const ValueId x = b.embed("embed", embedding, ids, 1.0f);
    b.set_layer(0);
    const ValueId h = b.rms_norm("blk.0.norm", x, norm, 1e-5f);
    const ValueId q = b.matmul("blk.0.q", h, b.weight("wq", kWq, {8, kColumns}));
    const ValueId k = b.matmul("blk.0.k", h, b.weight("wk", kWk, {4, kColumns}));
    const ValueId v = b.matmul("blk.0.v", h, b.weight("wv", kWv, {4, kColumns}));
    const ValueId inv_freq = b.weight("inv_freq", kInvFreq, {2});
    const ValueId rotated = b.rope_kv_write(
        "blk.0.rope", {q, k, v, positions, kv_slot, inv_freq, kv},
        {sizeof(tenon_attr_rope_kv_write), 2, 1, 4, 4, 4, TENON_ROPE_HALVES, 0, 1.0f, 0.0f});
    const ValueId o = b.paged_attn("blk.0.attn", rotated, kv, table, kv_len, q_start,
                                   {sizeof(tenon_attr_paged_attn), 2, 1, 4, 4, 0, 0, 0.5f, 0.0f});
    const ValueId a = b.matmul("blk.0.o", o, b.weight("wo", kWo, {kColumns, 8}),
                               b.weight("bias", kBias, {kColumns}), x);
    ValueId sum = kNoValue;
    const ValueId f = b.rms_norm("blk.0.ffn_norm", a, norm, 1e-5f, x, &sum);
    const ValueId g = b.matmul_glu("blk.0.glu", f, b.weight("gate", kGate, {kHidden, kColumns}),
                                   b.weight("up", kUp, {kHidden, kColumns}), TENON_ACT_SILU);
    const ValueId d =
        b.matmul("blk.0.down", g, b.weight("down", kDown, {kColumns, kHidden}), kNoValue, sum);
    b.set_layer(TENON_NONE);
    const ValueId logits = b.matmul("logits", d, embedding);
    b.mark_output(logits, kLogits);
    return b.build();
}

inline tenon_format float_format() {
    tenon_format format{};
    format.size = sizeof format;
    format.cls = TENON_FORMAT_FLOAT;
    format.id = {"f32", 3};
    format.bits = 32;
    format.group = format.block_elems = 1;
    format.block_bytes = 4;
    format.scale_type = TENON_F32;
    return format;
}

// Owns the numbers of the weight set of small_program().
class SmallWeights {
public:
    SmallWeights() {
        const int64_t shapes[kEntries][2] = {
            {kVocabulary, kColumns}, {1, kColumns},       {8, kColumns},
            {4, kColumns},           {4, kColumns},       {1, 2},
            {kColumns, 8},           {kHidden, kColumns}, {kHidden, kColumns},
            {kColumns, kHidden},     {1, kColumns}};
        uint32_t state = 12345;
        for (const auto& shape : shapes) {
            auto& numbers = numbers_.emplace_back(static_cast<size_t>(shape[0] * shape[1]));
            for (float& x : numbers) {
                state = state * 1664525u + 1013904223u;
                x = static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5f;
            }
            StoredWeight stored{float_format(), shape[0], shape[1], {}};
            stored_.push_back(stored);
        }
        for (size_t i = 0; i < stored_.size(); ++i) {
            stored_[i].bytes = std::as_bytes(std::span(numbers_[i]));
        }
    }
    std::vector<StoredWeight>& stored() { return stored_; }

private:
    std::vector<std::vector<float>> numbers_;
    std::vector<StoredWeight> stored_;
};

inline tenon_kv_desc small_kv() { return {sizeof(tenon_kv_desc), 1, 1, 4, 4, 16, TENON_F32, 4}; }

// One step of one sequence: tokens `ids` from `past` on, in the pool's blocks 3 and 1.
struct SmallStep {
    std::vector<int32_t> ids, positions, kv_slot, table{3, 1, 0, 0}, kv_len, q_start;
    std::vector<float> logits;
    std::vector<std::span<std::byte>> buffers;
    int64_t symbols[2];

    SmallStep(std::vector<int32_t> tokens, int32_t past) : ids(std::move(tokens)) {
        const auto count = static_cast<int32_t>(ids.size());
        for (int32_t i = 0; i < count; ++i) {
            const int32_t position = past + i;
            positions.push_back(position);
            kv_slot.push_back(table[static_cast<size_t>(position / 16)] * 16 + position % 16);
        }
        kv_len = {past + count};
        q_start = {0, count};
        logits.assign(ids.size() * kVocabulary, 0.0f);
        symbols[0] = count;
        symbols[1] = 1;
        for (auto* array : {&ids, &positions, &kv_slot, &table, &kv_len, &q_start}) {
            buffers.push_back(std::as_writable_bytes(std::span(*array)));
        }
        buffers.push_back(std::as_writable_bytes(std::span(logits)));
    }
};

}  // namespace tenon::ops::test
