// layout.json says what the compiler does: every offset and size of the public structs.
#include <gtest/gtest.h>
#include <tenon/abi.h>

#include <cstddef>

namespace {

// One number of layout.json beside the compiler's. A table and not an EXPECT_EQ each: hundreds of
// those in one function take the compiler a minute.
struct Line {
    const char* what;
    size_t compiled;
    size_t written;
};

#define FINGERPRINT(revision, fingerprint)
#define STRUCT(name, bytes) {"sizeof(" #name ")", sizeof(name), bytes},
#define FIELD(name, field, place, bytes)                               \
    {"offsetof(" #name ", " #field ")", offsetof(name, field), place}, \
        {"sizeof(" #name "::" #field ")", sizeof(name::field), bytes},
constexpr Line kLines[] = {
#include "layout_checks.inc"
};
#undef FINGERPRINT
#undef STRUCT
#undef FIELD
// More than 30 structs and 200 fields: the table is not empty by mistake.
static_assert(sizeof(kLines) / sizeof(kLines[0]) > 30 + 2 * 200);

#define FINGERPRINT(revision, fingerprint)   \
    EXPECT_EQ(TENON_ABI_REVISION, revision); \
    EXPECT_EQ(TENON_ABI_FINGERPRINT, fingerprint);
#define STRUCT(name, bytes)
#define FIELD(name, field, place, bytes)
TEST(AbiLayout, JsonEqualsTheCompiler) {
    for (const Line& line : kLines)
        EXPECT_EQ(line.compiled, line.written) << line.what;
#include "layout_checks.inc"
}

}  // namespace
