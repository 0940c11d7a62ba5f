#include "core/base/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace tenon {
namespace {

std::string digest_of(const std::string& text) {
    return to_hex(sha256(std::as_bytes(std::span(text.data(), text.size()))));
}

// Expected values: sha256sum of GNU coreutils.
TEST(Sha256, AgreesWithSha256sum) {
    EXPECT_EQ(digest_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(digest_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(digest_of(std::string(1000000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesMakeTheWhole) {
    std::string text;
    for (int i = 0; i < 300; ++i)
        text += static_cast<char>(i * 7);
    for (size_t length = 0; length <= text.size(); ++length) {
        const std::string part = text.substr(0, length);
        Sha256 hash;
        for (size_t at = 0; at < length; at += 13)
            hash.update(std::string_view(part).substr(at, 13));
        EXPECT_EQ(to_hex(hash.finish()), digest_of(part)) << length;
    }
}

}  // namespace
}  // namespace tenon
