#include "tests/core/server/rig.h"

namespace tenon::server::testing {
namespace {

class Embeddings : public Rig {
protected:
    Embeddings() {
        add_embedding_routes(table, service);
        engine.engine_info->embedding_size = 2;
    }
    void expect_refused(const std::string& body, const std::string& param) {
        engine.sequences.clear();
        const auto answer = post("/v1/embeddings", body);
        EXPECT_TRUE(engine.sequences.empty()) << body;
        EXPECT_EQ(answer->status(), 400) << body;
        EXPECT_EQ(Json(answer->body()).text("error.param"), param) << answer->body();
    }
};

TEST_F(Embeddings, Golden) {
    const auto answer = post("/v1/embeddings", R"({"input":[[1,2],[3]]})");
    ASSERT_EQ(engine.sequences.size(), 2u);
    EXPECT_EQ(request(0).kind, engine::GenerationRequest::Kind::kEmbed);
    EXPECT_EQ(request(1).kind, engine::GenerationRequest::Kind::kEmbed);
    engine.embed(1, {0, 0});
    engine.embed(0, {3, -4});
    EXPECT_EQ(answer->body(),
              R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.6,-0.8]},)"
              R"({"object":"embedding","index":1,"embedding":[0,0]}],"model":"tiny",)"
              R"("usage":{"prompt_tokens":3,"total_tokens":3}})");
}

TEST_F(Embeddings, Base64IsLittleEndianFloats) {
    const auto answer = post("/v1/embeddings", R"({"input":"a","encoding_format":"base64"})");
    engine.embed(0, {3, 4});  // 0.6 is 3f19999a, 0.8 is 3f4ccccd
    EXPECT_EQ(Json(answer->body()).text("data.0.embedding"), "mpkZP83MTD8=");
    const auto one = post("/v1/embeddings", R"({"input":"a","encoding_format":"base64"})");
    engine.embed(1, {5});  // 1.0 is 3f800000
    EXPECT_EQ(Json(one->body()).text("data.0.embedding"), "AACAPw==");
    const auto three = post("/v1/embeddings", R"({"input":"a","encoding_format":"base64"})");
    engine.embed(2, {0, 0, 2});
    EXPECT_EQ(Json(three->body()).text("data.0.embedding"), "AAAAAAAAAAAAAIA/");
}

TEST_F(Embeddings, InputsAndOptionsAreChecked) {
    for (const char* bad : {"{}", R"({"input":null})", R"({"input":[]})", R"({"input":[288]})",
                            R"({"input":[-1]})", R"({"input":[1.5]})", R"({"input":7})",
                            R"({"input":[null]})", R"({"input":[[]]})", R"({"input":{}})"}) {
        expect_refused(bad, "input");
    }
    expect_refused(R"({"input":"a","encoding_format":"hex"})", "encoding_format");
    for (const char* bad : {"3", "1", "0", "-1", "1.5", "\"2\"", "2147483648", "1e308"})
        expect_refused(std::string(R"({"input":"a","dimensions":)") + bad + "}", "dimensions");
    EXPECT_EQ(post("/v1/embeddings", R"({"input":"a","dimensions":2})")->status(), 0);
    service.limits.embedding_inputs = 2;
    EXPECT_EQ(post("/v1/embeddings", R"({"input":["a","b"]})")->status(), 0);
    expect_refused(R"({"input":["a","b","c"]})", "input");
    std::string ids = "5";
    for (int i = 1; i < 256; ++i)
        ids += ",5";
    const auto answer = post("/v1/embeddings", "{\"input\":[" + ids + "]}");
    EXPECT_EQ(Json(answer->body()).text("error.code"), "context_length_exceeded");
}

TEST_F(Embeddings, OneBadInputIsTheWholeAnswer) {
    const auto answer = post("/v1/embeddings", R"({"input":["a","b"]})");
    engine.finish(1, engine::FinishReason::kError, 0,
                  Error{Code::kUnsupported, "the model has no pooling"});
    EXPECT_EQ(answer->status(), 400);
    EXPECT_TRUE(engine.sequences[0].is_cancelled);
}

}  // namespace
}  // namespace tenon::server::testing
