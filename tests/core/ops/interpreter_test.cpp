#include "core/ops/interpreter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/core/ops/small_program.h"

namespace {

using namespace tenon;
using namespace tenon::ops;
using namespace tenon::ops::test;

struct Rig {
    Program program = small_program();
    SmallWeights weights;
    HostKv kv{small_kv()};

    Result<Interpreter> interpreter() {
        return Interpreter::create(program.view(), weights.stored(), &kv.view());
    }
};

TEST(Interpreter, ChunkedIsWhole) {
    Rig whole;
    SmallStep all({1, 2, 3, 4, 5}, 0);
    auto a = whole.interpreter();
    ASSERT_TRUE(a.ok()) << a.error().message;
    const Status ran = a->run(all.symbols, all.buffers);
    ASSERT_TRUE(ran.ok()) << ran.error().message;

    Rig chunked;
    auto b = chunked.interpreter();
    ASSERT_TRUE(b.ok());
    SmallStep first({1, 2}, 0);
    SmallStep second({3, 4, 5}, 2);
    ASSERT_TRUE(b->run(first.symbols, first.buffers).ok());
    ASSERT_TRUE(b->run(second.symbols, second.buffers).ok());
    for (size_t i = 0; i < second.logits.size(); ++i) {
        ASSERT_EQ(second.logits[i], all.logits[i + 2 * kVocabulary]) << i;
    }
    double energy = 0;
    for (const float x : all.logits)
        energy += std::fabs(x);
    EXPECT_GT(energy, 0.1);
}

TEST(Interpreter, ShowsTemporaries) {
    Rig rig;
    auto made = rig.interpreter();
    ASSERT_TRUE(made.ok());
    SmallStep step({1, 2}, 0);
    ASSERT_TRUE(made->run(step.symbols, step.buffers).ok());
    const tenon_node& embed = rig.program.view().nodes[0];
    EXPECT_EQ(made->result_of(embed.outputs[0]).size(), 2u * kColumns);
    EXPECT_TRUE(made->result_of(0).empty()) << "an input is no result";
    EXPECT_TRUE(made->result_of(kNoValue).empty());
}

void expect_refused(const Status& status, const std::string& piece) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kInvalid);
    EXPECT_NE(status.error().message.find(piece), std::string::npos) << status.error().message;
}

TEST(Interpreter, RefusesContentsThatLeaveTheirArray) {
    Rig rig;
    auto made = rig.interpreter();
    ASSERT_TRUE(made.ok());
    SmallStep id({11}, 0);
    expect_refused(made->run(id.symbols, id.buffers), "id 11 of token 0 is outside");
    SmallStep slot({1}, 0);
    slot.kv_slot[0] = 64;
    expect_refused(made->run(slot.symbols, slot.buffers), "kv_slot 64 of token 0");
    SmallStep block({1}, 0);
    block.table[0] = 4;
    expect_refused(made->run(block.symbols, block.buffers), "block 0 of sequence 0 is 4");
    SmallStep length({1}, 0);
    length.kv_len[0] = 33;
    expect_refused(made->run(length.symbols, length.buffers), "kv_len[0] is 33");
    SmallStep start({1}, 0);
    start.q_start[1] = 2;
    expect_refused(made->run(start.symbols, start.buffers), "q_start[1] is 2");
    SmallStep symbols({1}, 0);
    symbols.symbols[0] = 9;
    expect_refused(made->run(symbols.symbols, symbols.buffers), "symbol 'T' is 9");
    SmallStep buffer({1}, 0);
    buffer.buffers[kLogits] = buffer.buffers[kLogits].first(8);
    expect_refused(made->run(buffer.symbols, buffer.buffers), "'logits' needs 44 bytes");
}

TEST(Interpreter, RefusesWeightsAndPoolsThatDoNotFit) {
    Rig rig;
    const auto create = [&]() -> Status {
        auto made = rig.interpreter();
        if (made.ok()) return {};
        return std::move(made).error();
    };
    rig.weights.stored()[kWq].rows = 7;
    expect_refused(create(), "weight 'wq' is f32[8,8]; stored are 7 rows");
    rig.weights.stored()[kWq].rows = 8;
    rig.weights.stored().pop_back();
    expect_refused(create(), "weight 'bias' is entry 10; the set has 10");
    const auto poolless = Interpreter::create(rig.program.view(), rig.weights.stored(), nullptr);
    ASSERT_FALSE(poolless.ok());
    EXPECT_NE(poolless.error().message.find("needs a KV pool"), std::string::npos);
}

}  // namespace
