// PAGED_ATTN: causal attention of the tokens of a step over a block table.
//
// q: [tokens, n_q_heads * dim_k]; block_table: [sequences, table_width], block ids; kv_len: [sequences],
// positions of each sequence this step included; q_start: [sequences + 1], not falling, the last is
// <= tokens; sinks: [n_q_heads] or null; o: [tokens, n_q_heads * dim_v].
// Token j of the n tokens of sequence s sits at position kv_len[s] - n + j and sees positions p with
// p <= its own and, with window > 0, p > its own - window. Position p lies in block
// block_table[s][p / block_tokens]. Query head h reads KV head h / (n_q_heads / n_kv_heads).
// score = scale * q k, then softcap * tanh(score / softcap) when softcap > 0; softmax in double; a sink
// adds exp(sink) to the denominator and no value. Tokens of no sequence give zeros.
#pragma once

#include <tenon/abi.h>
#include <tenon/reference/kv.h>
#include <tenon/reference/matmul.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace tenon::reference {

// One query head against the positions begin .. end - 1; blocks is the sequence's row of the table.
inline void attend_head(const float* q, const ReferenceKv& kv, const int32_t* blocks, int64_t begin,
                        int64_t end, uint32_t kv_head, const float* sink,
                        const tenon_attr_paged_attn& attr, float* o) {
    const auto slot_of = [&](int64_t p) {
        return int64_t{blocks[p / kv.block_tokens]} * kv.block_tokens + p % kv.block_tokens;
    };
    std::vector<double> scores;
    for (int64_t p = begin; p < end; ++p) {
        double score = attr.scale * dot(q, kv.key(attr.layer, slot_of(p), kv_head), attr.dim_k);
        if (attr.softcap > 0) score = attr.softcap * std::tanh(score / attr.softcap);
        scores.push_back(score);
    }
    double top = sink != nullptr ? *sink : scores.front();
    for (const double score : scores)
        top = std::max(top, score);
    double total = sink != nullptr ? std::exp(*sink - top) : 0.0;
    std::vector<double> sum(attr.dim_v, 0.0);
    for (int64_t p = begin; p < end; ++p) {
        const double weight = std::exp(scores[static_cast<size_t>(p - begin)] - top);
        const float* value = kv.value(attr.layer, slot_of(p), kv_head);
        total += weight;
        for (uint32_t c = 0; c < attr.dim_v; ++c)
            sum[c] += weight * value[c];
    }
    for (uint32_t c = 0; c < attr.dim_v; ++c)
        o[c] = static_cast<float>(sum[c] / total);
}

inline void paged_attn(const float* q, const ReferenceKv& kv, const int32_t* block_table,
                       const int32_t* kv_len, const int32_t* q_start, const float* sinks,
                       int64_t tokens, int64_t sequences, int64_t table_width,
                       const tenon_attr_paged_attn& attr, float* o) {
    const int64_t q_row = int64_t{attr.n_q_heads} * attr.dim_k;
    const int64_t o_row = int64_t{attr.n_q_heads} * attr.dim_v;
    std::fill(o, o + tokens * o_row, 0.0f);
    const uint32_t heads_per_kv = attr.n_q_heads / attr.n_kv_heads;
    for (int64_t s = 0; s < sequences; ++s) {
        const int64_t count = q_start[s + 1] - q_start[s];
        for (int64_t j = 0; j < count; ++j) {
            const int64_t position = kv_len[s] - count + j;
            const int64_t begin =
                attr.window > 0 ? std::max<int64_t>(0, position - attr.window + 1) : 0;
            const int64_t t = q_start[s] + j;
            for (uint32_t h = 0; h < attr.n_q_heads; ++h) {
                attend_head(q + t * q_row + int64_t{h} * attr.dim_k, kv,
                            block_table + s * table_width, begin, position + 1, h / heads_per_kv,
                            sinks != nullptr ? sinks + h : nullptr, attr,
                            o + t * o_row + int64_t{h} * attr.dim_v);
            }
        }
    }
}

}  // namespace tenon::reference
