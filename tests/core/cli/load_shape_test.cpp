#include "core/cli/load_shape.h"

#include "core/chat_template/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace tenon::cli {
namespace {

using chat_template::Value;

Value body_of(const LoadShape& shape, uint64_t number) {
    const Result<Value> body = chat_template::parse_json(make_request(shape, number).body);
    return body.ok() ? *body : Value();
}

std::vector<int64_t> ids_of(const LoadShape& shape, uint64_t number) {
    const Value body = body_of(shape, number);
    std::vector<int64_t> ids;
    for (const Value& id : body.as_dict().find("prompt")->as_list().items)
        ids.push_back(id.as_integer());
    return ids;
}

TEST(LoadShape, ReadsTokenCounts) {
    EXPECT_EQ(parse_token_count("64")->mean, 64);
    EXPECT_EQ(parse_token_count("64,8.5")->deviation, 8.5);
    for (const char* text : {"", "0", "-1", "x", "1,", "1,x", "1,2,3", "1e9", "nan"})
        EXPECT_FALSE(parse_token_count(text).ok()) << text;
}

TEST(LoadShape, KnowsTheApiOfAServer) {
    EXPECT_EQ(*api_base("http://a:1"), "http://a:1/v1");
    EXPECT_EQ(*api_base("http://a:1/"), "http://a:1/v1");
    EXPECT_EQ(*api_base("https://a/v1/"), "https://a/v1");
    EXPECT_EQ(*api_base("https://a/openai/v1"), "https://a/openai/v1");
    EXPECT_FALSE(api_base("a:1").ok());
}

TEST(LoadShape, PromptsDifferButForTheirGroupsPrefix) {
    LoadShape shape;
    shape.base = "http://a/v1";
    shape.as_ids = true;
    shape.vocab = 288;
    shape.input = {20, 0};
    shape.shared_prefix = 50;
    shape.shared_groups = 3;
    std::set<std::vector<int64_t>> all;
    for (uint64_t i = 0; i < 30; ++i) {
        const std::vector<int64_t> ids = ids_of(shape, i);
        ASSERT_EQ(ids.size(), 70u);
        EXPECT_EQ(ids, ids_of(shape, i));
        all.insert(ids);
        for (uint64_t j = 0; j < i; ++j) {
            const std::vector<int64_t> other = ids_of(shape, j);
            EXPECT_EQ(std::equal(ids.begin(), ids.begin() + 50, other.begin()), i % 3 == j % 3);
        }
        for (const int64_t id : ids) {
            EXPECT_GE(id, 36);
            EXPECT_LT(id, 252);
        }
    }
    EXPECT_EQ(all.size(), 30u);
    shape.seed = 2;
    EXPECT_EQ(all.count(ids_of(shape, 0)), 0u);
}

TEST(LoadShape, LengthsFollowTheirDistribution) {
    LoadShape shape;
    shape.as_ids = true;
    shape.input = {40, 10};
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < 500; ++i) {
        const double size = static_cast<double>(ids_of(shape, i).size());
        sum += size;
        squares += size * size;
    }
    const double mean = sum / 500;
    EXPECT_NEAR(mean, 40, 2);
    EXPECT_NEAR(std::sqrt(squares / 500 - mean * mean), 10, 1.5);
}

TEST(LoadShape, AsksForAStreamWithUsage) {
    LoadShape shape;
    shape.base = "http://a/v1";
    shape.model = "m";
    shape.api_key = "k";
    shape.is_chat = true;
    shape.ignore_eos = true;
    shape.output = {9, 0};
    const net::ClientRequest request = make_request(shape, 0);
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.url, "http://a/v1/chat/completions");
    EXPECT_EQ(*request.headers.find("authorization"), "Bearer k");
    const Value body = body_of(shape, 0);
    const chat_template::Dict& fields = body.as_dict();
    EXPECT_EQ(fields.find("model")->as_text().bytes(), "m");
    EXPECT_EQ(fields.find("max_tokens")->as_integer(), 9);
    EXPECT_TRUE(fields.find("stream")->as_bool());
    EXPECT_TRUE(fields.find("stream_options")->as_dict().find("include_usage")->as_bool());
    EXPECT_TRUE(fields.find("ignore_eos")->as_bool());
    EXPECT_EQ(fields.find("messages")->as_list().items.size(), 1u);
    shape.is_chat = shape.ignore_eos = false;
    EXPECT_EQ(make_request(shape, 0).url, "http://a/v1/completions");
    EXPECT_EQ(body_of(shape, 0).as_dict().find("ignore_eos"), nullptr);
    EXPECT_TRUE(body_of(shape, 0).as_dict().find("prompt")->is_string());
}

}  // namespace
}  // namespace tenon::cli
