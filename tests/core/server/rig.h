// The endpoints on a tiny model's tokenizer and template, with an engine that plays a script.
#pragma once

#include "core/base/json_writer.h"
#include "core/server/admission.h"
#include "core/server/json_body.h"
#include "core/server/service.h"
#include "tests/core/server/fake_engine.h"
#include "tests/core/server/fake_exchange.h"

#include <gtest/gtest.h>

#include <charconv>
#include <regex>

namespace tenon::server::testing {

// A body kept with its values; reads by path, such as "choices.0.message.content".
struct Json {
    explicit Json(std::string_view text) {
        error = JsonBody::parse(text, config::Limits{}, body);
        if (error) ADD_FAILURE() << error->message << "\n" << text;
    }
    std::optional<JsonView> find(std::string_view path) const {
        if (error) return std::nullopt;
        std::optional<JsonView> at = body.root();
        while (at && !path.empty()) {
            const std::string_view step = path.substr(0, path.find('.'));
            path.remove_prefix(std::min(path.size(), step.size() + 1));
            if (!at->is(JsonKind::kArray)) {
                at = at->find(step);
                continue;
            }
            size_t wanted = 0, index = 0;
            std::from_chars(step.data(), step.data() + step.size(), wanted);
            std::optional<JsonView> item;
            at->for_items([&](JsonView value) {
                if (index++ == wanted) item = value;
            });
            at = item;
        }
        return at;
    }
    // The string; "(int)5"-like words for other kinds, "(absent)" for nothing.
    std::string text(std::string_view path) const {
        const auto value = find(path);
        if (!value) return "(absent)";
        return value->is(JsonKind::kString) ? std::string(value->as_string()) : value->describe();
    }
    JsonBody body;
    std::optional<ApiError> error;
};

// The data of every event of a stream, in order; comments are left out.
inline std::vector<std::string> events_of(const std::string& stream) {
    std::vector<std::string> events;
    size_t at = 0;
    while (at < stream.size()) {
        const size_t end = stream.find("\n\n", at);
        if (end == std::string::npos) {
            ADD_FAILURE() << "the stream ends inside an event: " << stream.substr(at);
            break;
        }
        const std::string event = stream.substr(at, end - at);
        at = end + 2;
        const size_t data = event.find("data: ");
        if (data != std::string::npos) events.push_back(event.substr(data + 6));
    }
    return events;
}

// Ids and times out of the way of a comparison.
inline std::string masked(std::string text) {
    text = std::regex_replace(text, std::regex("(chatcmpl-|cmpl-|resp_|msg_)[0-9a-f]{24}"), "$1ID");
    return std::regex_replace(text, std::regex("\"(created|created_at|completed_at)\":[0-9]+"),
                              "\"$1\":0");
}

inline const engine::LoadedModel& tiny_model() {
    static const Result<engine::LoadedModel> model =
        engine::LoadedModel::open(TENON_SOURCE_DIR "/tests/golden/tiny/llama3-tied-q4_0.gguf");
    return model.value();
}

class FakeTicket : public Ticket {
public:
    explicit FakeTicket(class FakeAdmission& owner);
    ~FakeTicket() override;
    void on_scheduled() override;
    void charge_output(uint32_t tokens) override;

private:
    FakeAdmission& owner_;
};

class FakeAdmission : public Admission {
public:
    std::unique_ptr<Ticket> admit(const RequestContext&, uint32_t sequences, uint64_t tokens,
                                  ApiError& error) override {
        asked_sequences = sequences;
        asked_tokens = tokens;
        if (refusal) {
            error = *refusal;
            return nullptr;
        }
        ++held;
        return std::make_unique<FakeTicket>(*this);
    }
    std::optional<ApiError> refuse_early(uint64_t) override { return early_refusal; }
    void close() override {}
    uint32_t waiting() const override { return 0; }
    uint32_t in_flight() const override { return 0; }

    std::optional<ApiError> refusal, early_refusal;
    int held = 0, scheduled = 0;
    uint32_t charged = 0, asked_sequences = 0;
    uint64_t asked_tokens = 0;
};

inline FakeTicket::FakeTicket(FakeAdmission& owner) : owner_(owner) {}
inline FakeTicket::~FakeTicket() { --owner_.held; }
inline void FakeTicket::on_scheduled() { ++owner_.scheduled; }
inline void FakeTicket::charge_output(uint32_t tokens) { owner_.charged += tokens; }

class Rig : public ::testing::Test {
protected:
    Rig() {
        service.engine = &engine;
        service.model = &tiny_model();
        service.model_names = {"tiny", "alias"};
        service.context_length = 256;
        service.vocab_size = 288;
        service.admission = &admission;
        service.version = "0.0.1";
        service.is_loaded = true;
        engine.engine_info->vocab_size = 288;
        engine.engine_info->context_length = 256;
    }
    // Every route is added by the test that needs it.
    std::shared_ptr<FakeExchange> call(const std::string& method, const std::string& target,
                                       std::string body = "") {
        auto exchange = std::make_shared<FakeExchange>(method, target, std::move(body));
        const RouteTable::Match match = table.match(method, exchange->request().path);
        if (match.route == nullptr) {
            ADD_FAILURE() << "no route " << method << " " << target;
            return exchange;
        }
        auto context = std::make_shared<RequestContext>();
        context->exchange = exchange;
        context->route = match.route;
        context->name = match.name;
        context->caller = caller;
        context->request_id = "req-1";
        last_context = context;
        match.route->run(std::move(context));
        return exchange;
    }
    std::shared_ptr<FakeExchange> post(const std::string& path, std::string body) {
        return call("POST", path, std::move(body));
    }
    const engine::GenerationRequest& request(size_t index) {
        return engine.sequences.at(index).request;
    }

    FakeAdmission admission;  // outlives the tickets that the engine's sinks hold
    FakeEngine engine;
    Service service;
    RouteTable table;
    Caller caller;
    std::weak_ptr<RequestContext> last_context;
};

}  // namespace tenon::server::testing
