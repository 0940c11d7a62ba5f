#include "core/tokenizer/charsmap.h"

#include <random>

#include <gtest/gtest.h>

namespace tenon::tokenizer {
namespace {

std::string little(uint32_t value) {
    std::string bytes;
    for (int i = 0; i < 4; ++i)
        bytes += static_cast<char>((value >> (8 * i)) & 0xFF);
    return bytes;
}

// Replaces 'A' by "one" and "AB" by nothing. Offsets are chosen by hand: the children of a node stand at
// its place xor its offset xor their byte.
std::string sample() {
    std::vector<uint32_t> units(512);
    const auto offset = [](uint32_t value) { return value << 10; };
    units[0] = offset(256);                     // children at 256 ^ byte
    const uint32_t a = 256 ^ 'A';               // 321
    units[a] = offset(a ^ 16) | 1u << 8 | 'A';  // its value at 16, children at 16 ^ byte
    units[16] = 1u << 31 | 0;                   // "one"
    const uint32_t ab = 16 ^ 'B';               // 82
    units[ab] = offset(ab ^ 20) | 1u << 8 | 'B';
    units[20] = 1u << 31 | 3;  // the empty one
    std::string blob = little(static_cast<uint32_t>(units.size() * 4));
    for (const uint32_t unit : units)
        blob += little(unit);
    return blob + std::string("one\0", 4);
}

TEST(Charsmap, TheLongestSequenceIsReplaced) {
    const auto map = Charsmap::parse(sample());
    ASSERT_TRUE(map) << map.error().message;
    EXPECT_EQ(map->find("xA", 0).length, 0u);
    EXPECT_EQ(map->find("xA", 1).length, 1u);
    EXPECT_EQ(map->find("xA", 1).replacement, "one");
    EXPECT_EQ(map->find("ABC", 0).length, 2u);
    EXPECT_EQ(map->find("ABC", 0).replacement, "");
    EXPECT_EQ(map->find("A", 1).length, 0u);
}

TEST(Charsmap, AnEmptyBlobReplacesNothing) {
    const auto map = Charsmap::parse("");
    ASSERT_TRUE(map);
    EXPECT_EQ(map->find("A", 0).length, 0u);
}

TEST(Charsmap, RefusesBrokenBlobsWithOneSentence) {
    const std::string whole = sample();
    const struct {
        std::string blob, words;
    } kRefusals[] = {
        {whole.substr(0, 3), "has 3 bytes"},
        {whole.substr(0, 100), "table has 2048 bytes; a multiple of 4 under 96"},
        {little(3) + "abcd", "a multiple of 4"},
        {little(0xFFFFFFFC) + "abcd", "table has 4294967292 bytes"},
        {whole.substr(0, whole.size() - 1), "ends within a replacement"},
        {little(4) + little(1u << 31 | 9) + std::string("ab\0", 3),
         "names the replacement at byte 9; they have 3"},
        {little(4) + little(1u << 31) + std::string(65, 'x') + '\0', "a replacement of 65 bytes"},
    };
    for (const auto& [blob, words] : kRefusals) {
        const auto map = Charsmap::parse(blob);
        ASSERT_FALSE(map) << words;
        EXPECT_NE(map.error().message.find(words), std::string::npos) << map.error().message;
    }
}

TEST(Charsmap, NoTableLeadsOutOfItself) {
    const uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const std::string whole = sample();
    for (int round = 0; round < 3000; ++round) {
        std::string blob = whole;
        for (uint32_t n = 1 + random() % 20; n > 0; --n)
            blob[4 + random() % (blob.size() - 5)] = static_cast<char>(random());
        const auto map = Charsmap::parse(blob);
        if (!map) continue;
        std::string text;
        for (int n = 0; n < 100; ++n)
            text += random() % 2 == 0 ? static_cast<char>('A' + random() % 2)
                                      : static_cast<char>(random());
        for (size_t at = 0; at < text.size(); ++at) {
            const Charsmap::Match match = map->find(text, at);
            ASSERT_LE(match.length, std::min(text.size() - at, Charsmap::kKeyBytesMax));
            ASSERT_LE(match.replacement.size(), Charsmap::kReplacementBytesMax);
        }
    }
}

}  // namespace
}  // namespace tenon::tokenizer
