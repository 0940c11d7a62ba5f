// Barriers of known programs. What a driver would see of a missing one, the validation layer's
// synchronisation checks see in tests/conformance.
#include "backends/vulkan/hazards.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

namespace tenon::vulkan {
namespace {

using Use = Hazards::Use;

VkBuffer buffer(uintptr_t number) { return reinterpret_cast<VkBuffer>(number); }
Range range(uint64_t begin, uint64_t end, uintptr_t of = 1) { return {buffer(of), begin, end}; }
Use reads(uint64_t begin, uint64_t end, uintptr_t of = 1) { return {range(begin, end, of), false}; }
Use writes(uint64_t begin, uint64_t end, uintptr_t of = 1) { return {range(begin, end, of), true}; }

// The dispatches that a barrier precedes.
std::vector<size_t> barriers(std::initializer_list<std::vector<Use>> dispatches) {
    Hazards hazards;
    std::vector<size_t> found;
    size_t index = 0;
    for (const std::vector<Use>& dispatch : dispatches) {
        if (hazards.orders(dispatch)) found.push_back(index);
        ++index;
    }
    return found;
}

using Places = std::vector<size_t>;

TEST(Hazards, ReadAfterWrite) {
    EXPECT_EQ(barriers({{writes(0, 256)}, {reads(0, 256)}}), Places{1});
    EXPECT_EQ(barriers({{writes(0, 256)}, {reads(255, 300)}}), Places{1});
    EXPECT_EQ(barriers({{writes(100, 256)}, {reads(0, 101)}}), Places{1});
    EXPECT_EQ(barriers({{writes(0, 1024)}, {reads(256, 512)}}), Places{1});
}

TEST(Hazards, WriteAfterRead) {
    EXPECT_EQ(barriers({{reads(0, 256)}, {writes(0, 256)}}), Places{1});
    EXPECT_EQ(barriers({{reads(256, 257)}, {writes(0, 512)}}), Places{1});
}

TEST(Hazards, WriteAfterWrite) {
    EXPECT_EQ(barriers({{writes(0, 256)}, {writes(0, 256)}}), Places{1});
    EXPECT_EQ(barriers({{writes(0, 256)}, {writes(128, 1024)}}), Places{1});
}

TEST(Hazards, WhatDoesNotMeetWaitsForNothing) {
    EXPECT_EQ(barriers({{reads(0, 256)}, {reads(0, 256)}}), Places{});
    EXPECT_EQ(barriers({{writes(0, 256)}, {reads(256, 512)}}), Places{});
    EXPECT_EQ(barriers({{writes(256, 512)}, {writes(0, 256)}}), Places{});
    EXPECT_EQ(barriers({{writes(0, 256, 1)}, {reads(0, 256, 2), writes(0, 256, 3)}}), Places{});
    EXPECT_EQ(barriers({{reads(0, 256), writes(0, 256)}}), Places{});  // in place, alone
}

TEST(Hazards, OneBarrierSettlesAllBeforeIt) {
    EXPECT_EQ(barriers({{writes(0, 256)},
                        {writes(256, 512)},
                        {reads(0, 256)},    // behind a barrier
                        {reads(256, 512)},  // which serves it too
                        {writes(512, 768)},
                        {writes(0, 256)}}),  // after the reading behind it
              (Places{2, 5}));
    // What was read or written behind the barrier still counts.
    EXPECT_EQ(barriers({{writes(0, 256)}, {reads(0, 256), writes(256, 512)}, {reads(256, 512)}}),
              (Places{1, 2}));
}

TEST(Hazards, AnotherBarrierSettlesThem) {
    Hazards hazards;
    hazards.orders({writes(0, 256)});
    EXPECT_TRUE(hazards.written(range(0, 1)));
    EXPECT_FALSE(hazards.written(range(256, 257)));
    hazards.clear();
    EXPECT_FALSE(hazards.written(range(0, 1)));
    EXPECT_FALSE(hazards.orders({reads(0, 256)}));
}

// A layer with every part a dispatch of its own: each waits for its inputs once, and none for its
// neighbours.
TEST(Hazards, ALayerHasNineBarriers) {
    constexpr uint64_t kX = 0, kNormed = 1000, kQ = 2000, kK = 3000, kV = 4000, kMixed = 5000,
                       kGate = 6000;
    constexpr uint64_t kEnd = 1000;  // of each
    const auto in = [](uint64_t at) { return reads(at, at + kEnd); };
    const auto out = [](uint64_t at) { return writes(at, at + kEnd); };
    const Use k_pool = writes(0, 9000, 2);
    const Use v_pool = writes(0, 9000, 3);
    EXPECT_EQ(barriers({
                  {out(kX)},               // 0 embed
                  {in(kX), out(kNormed)},  // 1 norm
                  {in(kNormed), out(kQ)},  // 2 q
                  {in(kNormed), out(kK)},  // 3 k
                  {in(kNormed), out(kV)},  // 4 v
                  {in(kQ), out(kQ)},       // 5 rope of q, in place
                  {in(kK), out(kK)},       // 6 rope of k
                  {in(kK), k_pool},        // 7 k into the pool
                  {in(kV), v_pool},        // 8 v into the pool
                  {in(kQ), reads(0, 9000, 2), reads(0, 9000, 3), out(kMixed)},  // 9 attention
                  {in(kMixed), in(kX), out(kX)},  // 10 output projection, added
                  {in(kX), out(kNormed)},         // 11 norm
                  {in(kNormed), out(kGate)},      // 12 gate and up
                  {in(kGate), in(kX), out(kX)},   // 13 down, added
              }),
              (Places{1, 2, 5, 7, 9, 10, 11, 12, 13}));
}

}  // namespace
}  // namespace tenon::vulkan
