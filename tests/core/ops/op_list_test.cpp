#include "core/ops/op.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace {

using namespace tenon::ops;

TEST(OpList, NumbersRiseAndNamesDiffer) {
    std::set<std::string> names;
    uint32_t last = 0;
    for (const OpDef* op : op_list()) {
        EXPECT_GT(op->number, last);
        last = op->number;
        EXPECT_TRUE(names.insert(op->name).second) << op->name;
        EXPECT_EQ(find_op(op->number), op);
        EXPECT_NE(op->infer, nullptr);
        EXPECT_NE(op->run, nullptr);
    }
    EXPECT_EQ(names.size(), 13u);
}

TEST(OpList, ReservedAndUnknownNumbersAreNotFound) {
    EXPECT_EQ(find_op(0), nullptr);
    EXPECT_EQ(find_op(TENON_OP_LORA), nullptr);
    EXPECT_EQ(find_op(TENON_NONE), nullptr);
}

}  // namespace
