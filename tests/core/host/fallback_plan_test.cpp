#include "core/host/fallback_plan.h"

#include <gtest/gtest.h>

#include <cstring>

namespace tenon::host {
namespace {

// A chain of `count` ADD nodes: value i -> node i -> value i + 1, each f32[T, 8] with T up to 4.
class Chain {
public:
    explicit Chain(uint32_t count)
        : values_(count + 1), nodes_(count), inputs_(count), outputs_(count) {
        for (uint32_t i = 0; i <= count; ++i) {
            tenon_value& value = values_[i];
            value.size = sizeof value;
            value.kind = i == 0       ? TENON_VALUE_INPUT
                         : i == count ? TENON_VALUE_OUTPUT
                                      : TENON_VALUE_TEMP;
            value.dtype = TENON_F32;
            value.rank = 2;
            value.dims[0] = {0, 1, 0};
            value.dims[1] = {TENON_NONE, 0, 8};
        }
        for (uint32_t i = 0; i < count; ++i) {
            inputs_[i] = i;
            outputs_[i] = i + 1;
            nodes_[i] = {sizeof(tenon_node), TENON_OP_ADD, 0,       1,         1, TENON_NONE,
                         &inputs_[i],        &outputs_[i], nullptr, {"add", 3}};
        }
        program_ = {sizeof program_,
                    1,
                    count + 1,
                    count,
                    2,
                    sizeof symbol_,
                    sizeof(tenon_value),
                    sizeof(tenon_node),
                    &symbol_,
                    values_.data(),
                    nodes_.data()};
    }
    const tenon_program& program() const { return program_; }

private:
    tenon_symbol symbol_ = {{"T", 1}, 4};
    std::vector<tenon_value> values_;
    std::vector<tenon_node> nodes_;
    std::vector<uint32_t> inputs_;
    std::vector<uint32_t> outputs_;
    tenon_program program_;
};

constexpr uint64_t kValueBytes = 4 * 8 * 4;

std::vector<tenon_verdict> verdicts(const std::string& kinds) {
    std::vector<tenon_verdict> list;
    for (char c : kinds) {
        tenon_verdict v{};
        v.size = sizeof v;
        v.kind = c == 'n'   ? TENON_VERDICT_NATIVE
                 : c == 'f' ? TENON_VERDICT_FUSED
                            : TENON_VERDICT_NO;
        v.group = c == 'f' ? 7 : 0;
        if (c == 'x') std::strcpy(v.reason, "No kernel for this shape.");
        list.push_back(v);
    }
    return list;
}

bool never(uint32_t) { return false; }

TEST(FallbackPlan, AllOnOneDeviceIsOnePartition) {
    const Chain chain(3);
    const std::vector<tenon_verdict> devices[] = {verdicts("nff")};
    const auto plan = plan_fallback(chain.program(), devices, Fallback::kError, never);
    ASSERT_TRUE(plan.ok());
    ASSERT_EQ(plan->partitions.size(), 1u);
    EXPECT_EQ(plan->partitions[0].n_nodes, 3u);
    EXPECT_EQ(plan->nodes[1].kind, NodePlacement::Kind::kFused);
    EXPECT_EQ(plan->nodes[1].group, 7u);
    EXPECT_EQ(plan->bytes_moved, 0u);
    EXPECT_TRUE(plan->report(chain.program()).empty());
}

TEST(FallbackPlan, ErrorRefusesWithTheList) {
    const Chain chain(3);
    const std::vector<tenon_verdict> devices[] = {verdicts("nxx"), verdicts("nnn")};
    const auto plan = plan_fallback(chain.program(), devices, Fallback::kError, never);
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(plan.error().code, Code::kUnsupported);
    EXPECT_EQ(
        plan.error().message,
        "2 of 3 nodes cannot run on this device (fallback: error). node 1 (add): No kernel for "
        "this shape. node 2 (add): No kernel for this shape.");
}

TEST(FallbackPlan, AllowMovesOneNodeAndCountsItsBytes) {
    const Chain chain(3);
    const std::vector<tenon_verdict> devices[] = {verdicts("nxn"), verdicts("xnx")};
    const auto plan = plan_fallback(chain.program(), devices, Fallback::kAllow, never);
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(plan->nodes[1].kind, NodePlacement::Kind::kOtherDevice);
    EXPECT_EQ(plan->nodes[1].device, 1u);
    EXPECT_EQ(plan->bytes_moved, 2 * kValueBytes);
    ASSERT_EQ(plan->partitions.size(), 3u);
    EXPECT_EQ(plan->partitions[1].first_node, 1u);
    EXPECT_EQ(
        plan->report(chain.program()),
        std::vector<std::string>{"node 1 (add) runs on another device and moves up to 256 bytes "
                                 "a step: No kernel for this shape."});
    EXPECT_EQ(plan->report(chain.program(), {"cpu", 1000.0}),
              std::vector<std::string>{"node 1 (add) runs on cpu and moves up to 256 bytes a step, "
                                       "0.26 ms as measured: No kernel for this shape."});
}

TEST(FallbackPlan, NeighboursElsewhereMoveOnlyTheEnds) {
    const Chain chain(4);
    const std::vector<tenon_verdict> devices[] = {verdicts("nxxn"), verdicts("nnnn")};
    const auto plan = plan_fallback(chain.program(), devices, Fallback::kWarn, never);
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->nodes[1].bytes_moved, kValueBytes);
    EXPECT_EQ(plan->nodes[2].bytes_moved, kValueBytes);
    EXPECT_EQ(plan->partitions.size(), 3u);
}

TEST(FallbackPlan, OutputOfAForeignNodeComesBack) {
    const Chain chain(2);
    const std::vector<tenon_verdict> devices[] = {verdicts("nx"), verdicts("nn")};
    const auto plan = plan_fallback(chain.program(), devices, Fallback::kAllow, never);
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->bytes_moved, 2 * kValueBytes);
}

TEST(FallbackPlan, PartsOnTheDeviceComeBeforeAnotherDevice) {
    const Chain chain(2);
    const std::vector<tenon_verdict> devices[] = {verdicts("xn"), verdicts("nn")};
    const auto plan = plan_fallback(chain.program(), devices, Fallback::kError,
                                    [](uint32_t node) { return node == 0; });
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(plan->nodes[0].kind, NodePlacement::Kind::kDecomposed);
    EXPECT_TRUE(plan->needs_rewrite());
    EXPECT_EQ(plan->decompose(), (std::vector<bool>{true, false}));
    EXPECT_TRUE(plan->partitions.empty());
    EXPECT_EQ(
        plan->report(chain.program()),
        std::vector<std::string>{"node 0 (add) runs as its parts: No kernel for this shape."});
}

TEST(FallbackPlan, NobodyTakesTheNode) {
    const Chain chain(10);
    const std::vector<tenon_verdict> devices[] = {verdicts("xxxxxxxxxx")};
    const auto plan = plan_fallback(chain.program(), devices, Fallback::kAllow, never);
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(
        plan.error().message.rfind("10 of 10 nodes cannot run on any device. node 0 (add): ", 0),
        0u);
    EXPECT_NE(plan.error().message.find(" And 2 more."), std::string::npos);
}

TEST(FallbackPlan, IllegalVerdictsAreAnError) {
    const Chain chain(2);
    std::vector<tenon_verdict> wild[] = {verdicts("nn")};
    wild[0][1].kind = 9;
    EXPECT_EQ(plan_fallback(chain.program(), wild, Fallback::kAllow, never).error().message,
              "A device's verdict of node 1 (add) is 9, which is none.");
    const std::vector<tenon_verdict> few[] = {verdicts("n")};
    EXPECT_EQ(plan_fallback(chain.program(), few, Fallback::kAllow, never).error().message,
              "A device gave 1 verdicts for 2 nodes.");
}

TEST(FallbackPlan, PolicyIsReadFromText) {
    EXPECT_EQ(parse_fallback("warn").value(), Fallback::kWarn);
    EXPECT_EQ(parse_fallback("maybe").error().message,
              "fallback is 'maybe', wanted error, warn or allow.");
}

}  // namespace
}  // namespace tenon::host
