// The same comparison with jinja2 itself, on conversations of a seed that changes with the day.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sstream>

#include "tests/core/chat_template/case_file.h"

namespace tenon::chat_template::testing {
namespace {

int run(const std::string& command, std::string& out) {
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return -1;
    char buffer[1 << 16];
    for (size_t n = 0; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
        out.append(buffer, n);
    return pclose(pipe);
}

TEST(Live, RandomConversationsRenderAsJinja2) {
    std::string out;
    if (run(TENON_PYTHON " -c 'import jinja2' 2>/dev/null", out) != 0) {
        GTEST_SKIP() << "python3-jinja2 is not installed for " TENON_PYTHON ".";
    }
    const char* given = std::getenv("TENON_TEST_SEED");
    const long seed =
        given != nullptr ? std::atol(given) : static_cast<long>(std::time(nullptr) / 86400);
    RecordProperty("seed", std::to_string(seed));
    const std::string script = TENON_SOURCE_DIR "/tests/golden/chat_template/make.py";
    ASSERT_EQ(
        run("'" TENON_PYTHON "' -B '" + script + "' --live " + std::to_string(seed) + " 330", out),
        0);
    std::istringstream in(out);
    EXPECT_EQ(check_cases(in), 990u) << "TENON_TEST_SEED=" << seed;
}

// TENON_TEST_TEMPLATES: a folder of chat templates as models publish them, such as models/templates of
// llama.cpp's source. They are other people's texts and not committed.
TEST(Live, PublishedTemplatesRenderAsJinja2) {
    const char* folder = std::getenv("TENON_TEST_TEMPLATES");
    if (folder == nullptr) GTEST_SKIP() << "TENON_TEST_TEMPLATES names no folder of *.jinja";
    std::string out;
    const std::string script = TENON_SOURCE_DIR "/tests/golden/chat_template/make.py";
    ASSERT_EQ(run("'" TENON_PYTHON "' -B '" + script + "' --published '" + folder + "'", out), 0);
    std::istringstream in(out);
    const size_t count = check_cases(in);
    EXPECT_GE(count, 38u) << folder << " holds no template";
    RecordProperty("cases", std::to_string(count));
}

}  // namespace
}  // namespace tenon::chat_template::testing
