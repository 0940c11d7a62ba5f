#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include "kernels/include/tenon/kernels/isa.h"

namespace tenon::kernels {
namespace {

TEST(Isa, NamesComeBack) {
    for (size_t i = 0; i < kIsaCount; ++i) {
        const char* name = isa_name(static_cast<Isa>(i));
        Isa found = Isa::kScalar;
        EXPECT_TRUE(find_isa(name, std::strlen(name), &found));
        EXPECT_EQ(static_cast<size_t>(found), i);
    }
    Isa untouched = Isa::kAvx2;
    EXPECT_FALSE(find_isa("avx", 3, &untouched));
    EXPECT_FALSE(find_isa("", 0, &untouched));
    EXPECT_EQ(untouched, Isa::kAvx2);
}

// The linker keeps one copy of a weak symbol: one shared by two levels could be the one that the
// processor cannot run.
TEST(Isa, NoWeakSymbolIsCommonToTwoLevels) {
    FILE* pipe = popen("nm -A --defined-only " TENON_KERNELS_LIBRARY " 2>/dev/null", "r");
    ASSERT_NE(pipe, nullptr);
    std::map<std::string, std::set<std::string>> levels;
    size_t symbols = 0;
    char line[4096];
    while (std::fgets(line, sizeof line, pipe) != nullptr) {
        const std::string text = line;
        char type = 0;
        char name[2048];
        const size_t member_end = text.find(".cpp.o:");
        if (member_end == std::string::npos) continue;
        if (std::sscanf(text.c_str() + member_end + 7, "%*x %c %2047s", &type, name) != 2) continue;
        ++symbols;
        const bool weak = type == 'W' || type == 'V' || type == 'u' || type == 'w' || type == 'v';
        if (!weak) continue;
        const std::string member = text.substr(0, member_end);
        const size_t mark = member.rfind('_');
        const std::string suffix = mark == std::string::npos ? "" : member.substr(mark + 1);
        const bool raised = suffix == "avx2" || suffix == "avx512";
        levels[name].insert(raised ? suffix : "baseline");
    }
    const int status = pclose(pipe);
    if (status != 0 || symbols == 0) GTEST_SKIP() << "nm is not installed";
    for (const auto& [name, where] : levels) EXPECT_EQ(where.size(), 1u) << name;
}

} // namespace
} // namespace tenon::kernels
