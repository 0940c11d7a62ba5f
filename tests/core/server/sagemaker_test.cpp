#include "tests/core/server/rig.h"

namespace tenon::server::testing {
namespace {

class SageMaker : public Rig {
protected:
    SageMaker() { add_sagemaker_routes(table, service); }
};

TEST_F(SageMaker, PingTellsWhetherRequestsMayCome) {
    EXPECT_EQ(call("GET", "/ping")->status(), 200);
    engine.engine_stats.is_ready = false;
    EXPECT_EQ(call("GET", "/ping")->status(), 503);
    engine.engine_stats.is_ready = true;
    service.is_draining = true;
    EXPECT_EQ(call("GET", "/ping")->status(), 503);
    service.is_draining = false;
    service.is_loaded = false;
    service.engine = nullptr;  // not there yet while the model loads
    EXPECT_EQ(call("GET", "/ping")->status(), 503);
    EXPECT_EQ(table.match("GET", "/ping").route->access, Access::kPublic);
}

TEST_F(SageMaker, InvocationsAreChatsOrCompletions) {
    const auto chat = post("/invocations", R"({"messages":[{"role":"user","content":"Hi"}]})");
    const auto stream = post("/invocations", R"({"prompt":[1],"stream":true})");
    for (size_t i : {0u, 1u}) {
        engine.say(i, "a");
        engine.finish(i);
    }
    EXPECT_EQ(Json(chat->body()).text("object"), "chat.completion");
    EXPECT_EQ(events_of(stream->body()).back(), "[DONE]");
    EXPECT_EQ(post("/invocations", "{}")->status(), 400);
    EXPECT_EQ(table.match("POST", "/invocations").route->access, Access::kKey);
}

}  // namespace
}  // namespace tenon::server::testing
