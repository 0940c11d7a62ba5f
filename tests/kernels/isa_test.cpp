#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include "kernels/include/tenon/kernels/attention.h"
#include "kernels/include/tenon/kernels/draw.h"
#include "kernels/include/tenon/kernels/elementwise.h"
#include "kernels/include/tenon/kernels/isa.h"
#include "kernels/include/tenon/kernels/kv.h"
#include "kernels/include/tenon/kernels/norm.h"
#include "kernels/include/tenon/kernels/peak.h"
#include "kernels/include/tenon/kernels/quantise.h"
#include "kernels/include/tenon/kernels/rope.h"

namespace tenon::kernels {
namespace {

TEST(Isa, NamesComeBack) {
    for (size_t i = 0; i < kIsaCount; ++i) {
        const char* name = isa_name(static_cast<Isa>(i));
        Isa found = Isa::kScalar;
        EXPECT_TRUE(find_isa(name, std::strlen(name), &found));
        EXPECT_EQ(static_cast<size_t>(found), i);
    }
    const Isa last = static_cast<Isa>(kIsaCount - 1);
    Isa untouched = last;
    EXPECT_FALSE(find_isa("avx", 3, &untouched));
    EXPECT_FALSE(find_isa("", 0, &untouched));
    EXPECT_EQ(untouched, last);
}

// Whoever starts this knows the processor: a compiler's own test of it, or for an emulated one the
// level that belongs to its name.
TEST(Isa, TheBestLevelIsTheProcessors) {
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512vnni");
    EXPECT_EQ(best_isa(), avx512 ? Isa::kAvx512 : avx2 ? Isa::kAvx2 : Isa::kScalar);
#else
    const char* wanted = std::getenv("TENON_TEST_ISA");
    if (wanted == nullptr) GTEST_SKIP() << "TENON_TEST_ISA does not name the processor's level";
    EXPECT_STREQ(isa_name(best_isa()), wanted);
#endif
}

// A forced level is what runs, or where a family gains nothing from it the highest below.
TEST(Isa, AForcedLevelIsTheOneEveryFamilyRuns) {
    for (size_t level = 0; level < kIsaCount; ++level) {
        const Isa forced = static_cast<Isa>(level);
#if defined(__aarch64__)
        const Isa wanted = forced > Isa::kNeon ? Isa::kNeon : forced;
#else
        const Isa wanted = forced;
#endif
        EXPECT_EQ(find_draw(forced)->isa, wanted);
        EXPECT_EQ(find_elementwise(forced)->isa, wanted);
        EXPECT_EQ(find_norm(forced)->isa, wanted);
        EXPECT_EQ(find_peak(forced)->isa, wanted);
        EXPECT_EQ(find_quantise(forced)->isa, wanted);
        EXPECT_EQ(find_rope(forced)->isa, wanted);
        for (size_t type = 0; type < kKvTypeCount; ++type) {
            EXPECT_EQ(find_kv(static_cast<KvType>(type), forced)->isa, wanted);
            EXPECT_EQ(find_attention(static_cast<KvType>(type), forced)->isa, wanted);
        }
    }
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
        std::string base = suffix;  // of a level with an extension
        if (base.ends_with("bf16")) base.resize(base.size() - 4);
        Isa level = Isa::kScalar;
        find_isa(base.data(), base.size(), &level);
        levels[name].insert(level == Isa::kScalar ? "baseline" : suffix);
    }
    const int status = pclose(pipe);
    if (status != 0 || symbols == 0) GTEST_SKIP() << "nm is not installed";
    for (const auto& [name, where] : levels)
        EXPECT_EQ(where.size(), 1u) << name;
}

}  // namespace
}  // namespace tenon::kernels
