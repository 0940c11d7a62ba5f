// Byte for byte what jinja2 renders: committed results of public template families and expressions.
#include <fstream>

#include "tests/core/chat_template/case_file.h"

namespace tenon::chat_template::testing {
namespace {

TEST(Golden, EveryTemplateAndExpressionRendersAsJinja2) {
    std::ifstream in(TENON_SOURCE_DIR "/tests/golden/chat_template/golden.jsonl");
    ASSERT_TRUE(in.is_open());
    EXPECT_GE(check_cases(in), 200u);
}

}  // namespace
}  // namespace tenon::chat_template::testing
