#include "core/ops/decompose.h"

#include <gtest/gtest.h>

#include "core/ops/op.h"
#include "core/ops/verify.h"
#include "tests/core/ops/small_program.h"

namespace {

using namespace tenon;
using namespace tenon::ops;
using namespace tenon::ops::test;

std::vector<float> logits_of(const Program& program) {
    SmallWeights weights;
    HostKv kv{small_kv()};
    auto made = Interpreter::create(program.view(), weights.stored(), &kv.view());
    EXPECT_TRUE(made.ok()) << made.error().message;
    SmallStep step({1, 2, 3}, 0);
    const Status ran = made->run(step.symbols, step.buffers);
    EXPECT_TRUE(ran.ok()) << ran.error().message;
    return step.logits;
}

TEST(Decompose, PartsMeanTheWhole) {
    const Program program = small_program();
    const tenon_program& view = program.view();
    std::vector<bool> chosen(view.n_nodes, false);
    int count = 0;
    for (uint32_t i = 0; i < view.n_nodes; ++i) {
        const std::string_view name = text_of(view.nodes[i].name);
        chosen[i] = name == "blk.0.o" || name == "blk.0.ffn_norm" || name == "blk.0.glu";
        count += chosen[i];
    }
    ASSERT_EQ(count, 3);
    const auto split = decompose_nodes(view, chosen);
    ASSERT_TRUE(split.ok()) << split.error().message;
    const Status verified = verify_program(split->view());
    ASSERT_TRUE(verified.ok()) << verified.error().message;
    EXPECT_EQ(split->view().n_nodes, view.n_nodes + 2 + 1 + 3);
    const std::vector<float> whole = logits_of(program);
    const std::vector<float> parts = logits_of(*split);
    ASSERT_EQ(whole.size(), parts.size());
    for (size_t i = 0; i < whole.size(); ++i)
        EXPECT_NEAR(whole[i], parts[i], 1e-5) << i;
}

TEST(Decompose, KeepsWhatIsNotChosen) {
    const Program program = small_program();
    const auto copy =
        decompose_nodes(program.view(), std::vector<bool>(program.view().n_nodes, false));
    ASSERT_TRUE(copy.ok());
    ASSERT_TRUE(verify_program(copy->view()).ok());
    EXPECT_EQ(logits_of(program), logits_of(*copy));
}

TEST(Decompose, RefusesWhatHasNoParts) {
    const Program program = small_program();
    const auto split =
        decompose_nodes(program.view(), std::vector<bool>(program.view().n_nodes, true));
    ASSERT_FALSE(split.ok());
    EXPECT_EQ(split.error().code, Code::kUnsupported);
    EXPECT_EQ(split.error().message, "embed 'embed': the op has no simpler parts");
}

}  // namespace
