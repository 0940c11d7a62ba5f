// layout.json says what the compiler does: every offset and size of the public structs.
#include <gtest/gtest.h>
#include <tenon/abi.h>

#include <cstddef>

namespace {

TEST(AbiLayout, JsonEqualsTheCompiler) {
    int structs = 0;
    int fields = 0;
#define FINGERPRINT(revision, fingerprint)                                                         \
    EXPECT_EQ(TENON_ABI_REVISION, revision);                                                       \
    EXPECT_EQ(TENON_ABI_FINGERPRINT, fingerprint);
#define STRUCT(name, bytes)                                                                        \
    EXPECT_EQ(sizeof(name), size_t{bytes}) << #name;                                               \
    ++structs;
#define FIELD(name, field, place, bytes)                                                           \
    EXPECT_EQ(offsetof(name, field), size_t{place}) << #name "." #field;                           \
    EXPECT_EQ(sizeof(name::field), size_t{bytes}) << #name "." #field;                             \
    ++fields;
#include "layout_checks.inc"
    EXPECT_GT(structs, 30);
    EXPECT_GT(fields, 200);
}

} // namespace
