#include "core/cli/conversation.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <unistd.h>

namespace tenon::cli {
namespace {

std::string refusal(std::string_view json) {
    const Result<Conversation> read = parse_conversation(json);
    return read.ok() ? "" : read.error().message;
}

TEST(Conversation, ReadsWhatItWrites) {
    Conversation talk;
    talk.system = "Be \"brief\".\n";
    talk.turns = {{"user", "h\xc3\xa9llo \\ <|im_end|>"}, {"assistant", "a\tb"}};
    const Result<Conversation> read = parse_conversation(talk.to_json());
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->system, talk.system);
    ASSERT_EQ(read->turns.size(), 2u);
    EXPECT_EQ(read->turns[0].content, talk.turns[0].content);
    EXPECT_EQ(read->turns[1].role, "assistant");
    EXPECT_EQ(read->messages().size(), 3u);
    const Result<Conversation> empty = parse_conversation(Conversation().to_json());
    ASSERT_TRUE(empty.ok());
    EXPECT_TRUE(empty->messages().empty());
}

TEST(Conversation, TakesAListAndParts) {
    const Result<Conversation> read = parse_conversation(
        R"([{"role": "developer", "content": "x"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}])");
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->system, "x");
    EXPECT_EQ(read->turns.at(0).content, "ab");
}

TEST(Conversation, NamesTheMessageThatIsWrong) {
    EXPECT_NE(refusal("{"), "");
    EXPECT_EQ(refusal("{}"), "expected an object with a list of messages");
    EXPECT_EQ(refusal("3"), "expected an object with a list of messages");
    EXPECT_EQ(refusal(R"([{"role": "user", "content": "a"}, {"role": "user"}])"),
              "messages[1]: expected an object with role and content");
    EXPECT_EQ(refusal(R"([{"role": "tool", "content": "a"}])"),
              "messages[0]: expected the role system, user or assistant, got 'tool'");
    EXPECT_EQ(refusal(R"([{"role": "user", "content": "a"}, {"role": "system", "content": "a"}])"),
              "messages[1]: a system message must be the first");
    EXPECT_EQ(refusal(R"([{"role": "user", "content": [{"type": "image_url"}]}])"),
              "messages[0]: content: expected parts of type text");
    EXPECT_NE(refusal(R"([{"role": "user", "content": 3}])").find("expected a text"),
              std::string::npos);
}

TEST(WriteFile, WritesWholeFilesOrNone) {
    const std::string path =
        (std::filesystem::temp_directory_path() / ("tenon-write-" + std::to_string(getpid())))
            .string();
    ASSERT_TRUE(write_file(path, "one").ok());
    ASSERT_TRUE(write_file(path, "two\n").ok());
    std::ifstream file(path);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "two\n");
    std::remove(path.c_str());
    const Status refused = write_file("/nonexistent/x", "a");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().message,
              "/nonexistent/x cannot be written: No such file or directory");
}

}  // namespace
}  // namespace tenon::cli
