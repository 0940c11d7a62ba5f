#include "core/ops/cut.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "core/ops/node_view.h"
#include "core/ops/verify.h"
#include "tests/core/ops/small_program.h"

namespace {

using namespace tenon;
using namespace tenon::ops;
using namespace tenon::ops::test;

// The cuts of small_program() before each node of `at`, one after the other over shared buffers.
std::vector<float> logits_in_cuts(std::vector<uint32_t> at, bool numbered) {
    const Program program = small_program();
    const tenon_program& view = program.view();
    at.push_back(view.n_nodes);
    // Every temporary crosses: more than is needed, and the same meaning.
    std::vector<uint32_t> slots(view.n_values, TENON_NONE);
    SmallStep step({1, 2, 3}, 0);
    std::vector<std::vector<float>> crossing(view.n_values, std::vector<float>(64));
    for (uint32_t value = 0; value < view.n_values; ++value) {
        if (view.values[value].kind != TENON_VALUE_TEMP) continue;
        slots[value] = static_cast<uint32_t>(step.buffers.size());
        step.buffers.push_back(std::as_writable_bytes(std::span(crossing[value])));
    }
    SmallWeights weights;
    HostKv kv{small_kv()};
    uint32_t first = 0;
    for (const uint32_t end : at) {
        std::vector<uint32_t> entries;
        const Program cut =
            cut_nodes(view, first, end - first, slots, numbered ? &entries : nullptr);
        EXPECT_EQ(cut.view().n_nodes, end - first);
        const Status verified = verify_program(cut.view());
        EXPECT_TRUE(verified.ok()) << verified.error().message;
        std::vector<StoredWeight> stored = weights.stored();
        if (numbered) {
            stored.clear();
            for (const uint32_t entry : entries)
                stored.push_back(weights.stored()[entry]);
        }
        auto made = Interpreter::create(cut.view(), stored, &kv.view());
        EXPECT_TRUE(made.ok()) << made.error().message;
        const Status ran =
            made->run(step.symbols, std::span(step.buffers).first(cut.view().n_slots));
        EXPECT_TRUE(ran.ok()) << ran.error().message;
        first = end;
    }
    return step.logits;
}

TEST(Cut, PiecesMeanTheWhole) {
    const std::vector<float> whole = logits_in_cuts({}, false);
    EXPECT_GT(*std::max_element(whole.begin(), whole.end()), 0.0f);
    const uint32_t nodes = small_program().view().n_nodes;
    for (uint32_t at = 1; at < nodes; ++at) {
        EXPECT_EQ(logits_in_cuts({at}, false), whole) << "cut before node " << at;
        EXPECT_EQ(logits_in_cuts({at}, true), whole) << "cut before node " << at;
    }
    std::vector<uint32_t> everywhere;
    for (uint32_t at = 1; at < nodes; ++at)
        everywhere.push_back(at);
    EXPECT_EQ(logits_in_cuts(everywhere, true), whole);
}

TEST(Cut, WeightsOfSeveralCutsShareOneList) {
    const Program program = small_program();
    const std::vector<uint32_t> none(program.view().n_values, TENON_NONE);
    std::vector<uint32_t> entries;
    cut_nodes(program.view(), 0, 1, none, &entries);
    EXPECT_EQ(entries, (std::vector<uint32_t>{kEmbedding}));
    cut_nodes(program.view(), 0, 2, none, &entries);
    EXPECT_EQ(entries, (std::vector<uint32_t>{kEmbedding, kNorm}));
}

}  // namespace
