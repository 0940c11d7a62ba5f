// One request, one outcome: errors, lost engines and clients that leave.
#include "core/server/generation_job.h"

#include "tests/core/server/rig.h"

#include <thread>

namespace tenon::server::testing {
namespace {

using engine::FinishReason;

class Job : public Rig {
protected:
    Job() { add_openai_routes(table, service); }

    std::shared_ptr<FakeExchange> chat(const std::string& fields) {
        return post("/v1/chat/completions",
                    R"({"messages":[{"role":"user","content":"Hi"}])" + fields + "}");
    }
    static bool has_done(const std::string& body) {
        return body.find("[DONE]") != std::string::npos;
    }
};

TEST_F(Job, HoldsItsTicketUntilTheLastSequenceEnds) {
    const auto answer = chat(R"(,"n":2)");
    EXPECT_EQ(admission.held, 1);
    EXPECT_EQ(admission.asked_sequences, 2u);
    EXPECT_EQ(admission.asked_tokens, request(0).prompt.size());  // one prompt
    EXPECT_EQ(admission.scheduled, 0);
    engine.schedule(0);
    engine.schedule(1);
    EXPECT_EQ(admission.scheduled, 1);
    engine.finish(0, FinishReason::kStop, 3);
    EXPECT_EQ(admission.held, 1);
    EXPECT_FALSE(answer->is_done());
    engine.finish(1, FinishReason::kStop, 4);
    EXPECT_EQ(admission.held, 0);
    EXPECT_EQ(admission.charged, 7u);
    EXPECT_TRUE(answer->is_done());
    engine.sequences.clear();
    EXPECT_TRUE(last_context.expired());  // nothing holds what is over
}

TEST_F(Job, ARefusalAtTheDoorIsTheAnswer) {
    admission.refusal = ApiError{429, "rate_limit_error", "rate_limited", "", "Too many.", 7};
    const auto answer = chat("");
    EXPECT_EQ(answer->status(), 429);
    ASSERT_NE(answer->headers().find("Retry-After"), nullptr);
    EXPECT_EQ(*answer->headers().find("Retry-After"), "7");
    EXPECT_TRUE(engine.sequences.empty());
}

TEST_F(Job, AnErrorOfOneSequenceEndsTheRequestOnce) {
    for (const char* mode : {"", ",\"stream\":true"}) {
        const size_t first = engine.sequences.size();
        const auto answer = chat(std::string(R"(,"n":3)") + mode);
        engine.finish(first + 1, FinishReason::kError, 0, Error{Code::kData, "NaN at /dev/x"});
        EXPECT_EQ(answer->status(), 500);
        EXPECT_EQ(Json(answer->body()).text("error.code"), "numeric_error");
        EXPECT_EQ(answer->body().find("/dev"), std::string::npos);
        EXPECT_TRUE(engine.sequences[first].is_cancelled);
        EXPECT_TRUE(engine.sequences[first + 2].is_cancelled);
        EXPECT_EQ(admission.held, 1);  // the others still run
        engine.say(first, "late");
        engine.settle();
        EXPECT_EQ(answer->outcomes(), 1);
        EXPECT_EQ(admission.held, 0);
    }
}

TEST_F(Job, ErrorsOfTheEngineHaveTheirStatus) {
    const std::vector<std::tuple<Code, int, const char*>> rows = {
        {Code::kBusy, 503, "overloaded"},         {Code::kTimeout, 504, "timeout"},
        {Code::kDeviceLost, 503, "worker_lost"},  {Code::kOomDevice, 503, "out_of_memory"},
        {Code::kInternal, 500, "internal_error"}, {Code::kInvalid, 400, "invalid_request"},
        {Code::kData, 500, "numeric_error"},
    };
    for (const auto& [code, status, name] : rows) {
        const auto answer = chat("");
        engine.finish(engine.sequences.size() - 1, FinishReason::kError, 0, Error{code, "reason"});
        EXPECT_EQ(answer->status(), status) << name;
        EXPECT_EQ(Json(answer->body()).text("error.code"), name);
        EXPECT_EQ(answer->headers().find("Retry-After") != nullptr, status == 503) << name;
    }
}

TEST_F(Job, AnErrorAfterBytesEndsTheStreamWithoutDone) {
    const auto answer = chat(R"(,"stream":true)");
    engine.say(0, "Hel");
    engine.finish(0, FinishReason::kError, 1, Error{Code::kData, "NaN"});
    EXPECT_EQ(answer->status(), 200);
    EXPECT_TRUE(answer->is_done());
    const auto events = events_of(answer->body());
    EXPECT_EQ(Json(events.back()).text("error.code"), "numeric_error");
    EXPECT_FALSE(has_done(answer->body()));
    EXPECT_EQ(answer->outcomes(), 1);
}

TEST_F(Job, ALostEngineIsReplayedWhileNothingWasSent) {
    const auto answer = chat("");
    engine.say(0, "first try", {{5, -1.0f, {}}});
    EXPECT_TRUE(engine.lose(0));
    engine.say(0, "second");
    engine.finish(0);
    EXPECT_EQ(Json(answer->body()).text("choices.0.message.content"), "second");

    const auto stream = chat(R"(,"stream":true)");
    engine.schedule(1);
    EXPECT_TRUE(engine.lose(1));  // scheduled, nothing sent
    engine.say(1, "text");
    EXPECT_FALSE(engine.lose(1));
    EXPECT_TRUE(stream->is_done());
    const Json event(events_of(stream->body()).back());
    EXPECT_EQ(event.text("error.code"), "worker_lost");
    EXPECT_EQ(event.text("error.retryable"), "true");
    EXPECT_FALSE(has_done(stream->body()));
}

TEST_F(Job, OneSequenceOfManyIsReplayedAlone) {
    const auto answer = chat(R"(,"n":2)");
    engine.say(0, "A");
    engine.finish(0);
    engine.say(1, "gone");
    EXPECT_TRUE(engine.lose(1));
    engine.say(1, "B");
    engine.finish(1);
    const Json json(answer->body());
    EXPECT_EQ(json.text("choices.0.message.content"), "A");
    EXPECT_EQ(json.text("choices.1.message.content"), "B");
}

TEST_F(Job, AClientThatLeavesCancelsEverySequence) {
    for (const char* mode : {"", ",\"stream\":true"}) {
        const size_t first = engine.sequences.size();
        const auto answer = chat(std::string(R"(,"n":2)") + mode);
        engine.say(first, "x");
        const std::string sent = answer->body();
        answer->close();
        EXPECT_TRUE(engine.sequences[first].is_cancelled);
        EXPECT_TRUE(engine.sequences[first + 1].is_cancelled);
        engine.say(first + 1, "y");
        EXPECT_FALSE(engine.lose(first));  // nobody waits: not computed again
        engine.settle();
        EXPECT_EQ(answer->body(), sent);
        EXPECT_EQ(answer->outcomes(), 0);
        EXPECT_EQ(admission.held, 0);
    }
}

TEST_F(Job, AClientThatLeftBeforeTheQueueIsCancelledToo) {
    engine.on_submit = [&](FakeEngine&, size_t) {
        if (const auto context = last_context.lock()) {
            static_cast<FakeExchange&>(*context->exchange).close();
        }
    };
    chat(R"(,"n":2)");
    EXPECT_TRUE(engine.sequences[0].is_cancelled);
    EXPECT_TRUE(engine.sequences[1].is_cancelled);
}

TEST_F(Job, ASlowReaderPausesItsSequences) {
    const auto answer = chat(R"(,"n":2,"stream":true)");
    answer->pause(true);
    EXPECT_TRUE(engine.sequences[0].is_paused && engine.sequences[1].is_paused);
    answer->pause(false);
    EXPECT_FALSE(engine.sequences[0].is_paused || engine.sequences[1].is_paused);
    EXPECT_EQ(answer->ping(), ": ping\n\n");
}

TEST_F(Job, TheEngineEndingARequestIsAnErrorNotAnAnswer) {
    const auto answer = chat("");
    engine.say(0, "half");
    engine.finish(0, FinishReason::kCancelled);
    EXPECT_EQ(answer->status(), 503);
    EXPECT_EQ(Json(answer->body()).text("error.code"), "cancelled");
}

TEST_F(Job, AnEngineThatAnswersInsideSubmitIsFine) {
    engine.on_submit = [](FakeEngine& fake, size_t index) {
        fake.say(index, "now");
        fake.finish(index);
    };
    const auto answer = chat(R"(,"n":2,"stream":true)");
    EXPECT_TRUE(has_done(answer->body()));
    EXPECT_EQ(answer->outcomes(), 1);
}

TEST_F(Job, TheClockHasAnAnswerForBothCases) {
    const auto answer = chat(R"(,"stream":true)");
    EXPECT_GT(answer->deadline().count(), 0);
    EXPECT_EQ(answer->expiry().response.status, 504);
    const auto events = events_of(answer->expiry().stream_text);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(Json(events[0]).text("error.code"), "timeout");
}

TEST_F(Job, SequencesOnTwoThreadsMakeOneAnswer) {
    for (int round = 0; round < 50; ++round) {
        engine.sequences.clear();
        const auto answer = chat(R"(,"n":2,"stream":true)");
        std::thread other([&] {
            for (int i = 0; i < 20; ++i)
                engine.say(1, "b");
            engine.finish(1);
        });
        for (int i = 0; i < 20; ++i)
            engine.say(0, "a");
        engine.finish(0);
        other.join();
        std::string a, b;
        for (const std::string& event : events_of(answer->body())) {
            if (event == "[DONE]") continue;
            const Json json(event);
            const std::string text = json.text("choices.0.delta.content");
            if (text == "(absent)" || text.empty()) continue;
            (json.text("choices.0.index") == "0" ? a : b) += text;
        }
        EXPECT_EQ(a, std::string(20, 'a'));
        EXPECT_EQ(b, std::string(20, 'b'));
        EXPECT_EQ(answer->outcomes(), 1);
    }
}

}  // namespace
}  // namespace tenon::server::testing
