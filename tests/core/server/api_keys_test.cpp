#include "core/server/api_keys.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

namespace tenon::server {
namespace {

constexpr const char* kAlice = "sk-alice-0123456789";
constexpr const char* kBob = "sk-bob-0123456789";

std::string refusal(std::string_view text) {
    const Result<KeySet> set = KeySet::parse(text, "keys", "salt");
    EXPECT_FALSE(set.ok()) << text;
    return set.ok() ? "" : set.error().message;
}

TEST(KeySet, ReadsNamesAndFields) {
    const Result<KeySet> set = KeySet::parse(
        "# comment\n\nalice:sk-alice-0123456789 priority=5 streams=3 requests_per_second=2\n"
        "sk-bob-0123456789 cache_scope=team tokens_per_minute=7 # trailing\n",
        "keys", "salt");
    ASSERT_TRUE(set.ok()) << set.error().message;
    ASSERT_EQ(set->size(), 2u);
    const ApiKey* alice = set->find(kAlice);
    ASSERT_NE(alice, nullptr);
    EXPECT_EQ(alice->name, "alice");
    EXPECT_EQ(alice->caller.priority, 5);
    EXPECT_EQ(alice->caller.key_number, 1u);
    EXPECT_EQ(alice->streams, 3u);
    EXPECT_EQ(alice->requests_per_second, 2u);
    EXPECT_EQ(alice->caller.key_id.size(), 8u);
    const ApiKey* bob = set->find(kBob);
    ASSERT_NE(bob, nullptr);
    EXPECT_EQ(bob->caller.cache_scope, "scope:team");
    EXPECT_EQ(bob->tokens_per_minute, 7u);
    EXPECT_EQ(set->by_number(2), bob);
    EXPECT_EQ(set->by_number(0), nullptr);
    EXPECT_EQ(set->by_number(3), nullptr);
}

TEST(KeySet, KnowsNoOtherText) {
    const Result<KeySet> set = KeySet::parse("sk-alice-0123456789\n", "keys", "salt");
    ASSERT_TRUE(set.ok());
    for (const char* wrong : {"", "sk-alice-012345678", "sk-alice-01234567890",
                              "SK-ALICE-0123456789", "alice", "Bearer sk-alice-0123456789"})
        EXPECT_EQ(set->find(wrong), nullptr) << wrong;
}

TEST(KeySet, KeysShareNoCacheUnlessTheySaySo) {
    const Result<KeySet> one =
        KeySet::parse("a:sk-alice-0123456789\nb:sk-bob-0123456789\n", "k", "1");
    const Result<KeySet> two = KeySet::parse("a:sk-alice-0123456789\n", "k", "2");
    ASSERT_TRUE(one.ok() && two.ok());
    const std::string& alice = one->find(kAlice)->caller.cache_scope;
    EXPECT_NE(alice, one->find(kBob)->caller.cache_scope);
    EXPECT_NE(alice, two->find(kAlice)->caller.cache_scope);
    EXPECT_EQ(alice.find(kAlice), std::string::npos);
}

TEST(KeySet, ListsEveryMistakeAndRepeatsNoKey) {
    const std::string text = refusal(
        "empty:\nshort\nsk-alice-0123456789\nx:sk-alice-0123456789\n"
        "sk-bob-0123456789 prioritty=3\nsk-carol-0123456 9\n"
        "sk-dave-0123456789 priority=9999\nb d:x\n");
    for (const char* part : {"keys:1: the key is empty", "keys:2: the key cannot be used",
                             "keys:4: this key stands here a second time",
                             "keys:5: a field is unknown; did you mean 'priority'?",
                             "keys:6: expected fields as NAME=VALUE", "keys:7: priority: expected"})
        EXPECT_NE(text.find(part), std::string::npos) << part << " in:\n" << text;
    EXPECT_EQ(text.find("0123456"), std::string::npos);
    EXPECT_NE(refusal("# nothing\n").find("it holds no key"), std::string::npos);
}

class KeyRingTest : public ::testing::Test {
protected:
    void write(const std::string& text, mode_t mode = 0600) {
        std::remove(path.c_str());
        std::ofstream(path) << text;
        ASSERT_EQ(chmod(path.c_str(), mode), 0);
    }
    void TearDown() override { std::remove(path.c_str()); }
    std::string path = ::testing::TempDir() + "api_keys_test_" + std::to_string(getpid());
};

TEST_F(KeyRingTest, RefusesFilesThatOthersCouldRead) {
    for (const mode_t mode : {0644, 0640, 0604, 0620}) {
        write("sk-alice-0123456789\n", mode);
        const auto ring = KeyRing::open(path);
        ASSERT_FALSE(ring.ok());
        EXPECT_EQ(ring.error().code, Code::kConfig);
        EXPECT_NE(ring.error().message.find("0600 is wanted"), std::string::npos);
    }
    for (const mode_t mode : {0600, 0400}) {
        write("sk-alice-0123456789\n", mode);
        EXPECT_TRUE(KeyRing::open(path).ok());
    }
    EXPECT_FALSE(KeyRing::open(path + ".absent").ok());
    EXPECT_FALSE(KeyRing::open(::testing::TempDir()).ok());
}

TEST_F(KeyRingTest, AFifoDoesNotHangTheStart) {
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const auto ring = KeyRing::open(path);
    ASSERT_FALSE(ring.ok());
    EXPECT_NE(ring.error().message.find("not a plain file"), std::string::npos);
}

TEST_F(KeyRingTest, AReloadThatFailsKeepsTheOldKeys) {
    write("sk-alice-0123456789\n");
    auto ring = KeyRing::open(path);
    ASSERT_TRUE(ring.ok());
    write("sk-bob-0123456789\n", 0644);
    EXPECT_FALSE((*ring)->reload().ok());
    write("\n");
    EXPECT_FALSE((*ring)->reload().ok());
    EXPECT_NE((*ring)->keys()->find(kAlice), nullptr);
    write("sk-bob-0123456789\n");
    ASSERT_TRUE((*ring)->reload().ok());
    EXPECT_EQ((*ring)->keys()->find(kAlice), nullptr);
    EXPECT_NE((*ring)->keys()->find(kBob), nullptr);
}

}  // namespace
}  // namespace tenon::server
