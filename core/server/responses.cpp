// POST /v1/responses: OpenAI's newer shape of a chat. Nothing is stored.
#include "core/server/chat_prompt.h"
#include "core/server/generation_job.h"
#include "core/server/json_route.h"
#include "core/server/request_fields.h"
#include "core/server/responses_form.h"

#include <fmt/format.h>

namespace tenon::server {

namespace {

constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant"};
constexpr std::string_view kPartTypes[] = {"input_text", "output_text", "text"};

// Fields of this endpoint that ask for what this server lacks.
void refuse_unsupported_here(FieldReader& fields) {
    for (const char* name : {"previous_response_id", "conversation", "prompt"}) {
        if (fields.has(name)) {
            fields.refuse(name, "This server stores no responses; send the whole conversation.");
        }
    }
    if (fields.flag("store").value_or(false)) {
        fields.refuse("store", "This server stores no responses.");
    }
    if (fields.flag("background").value_or(false)) {
        fields.refuse("background", "This server answers in the foreground alone.");
    }
    if (const auto include = fields.array("include", 0, 64)) {
        if (include->size() > 0) fields.refuse("include", "This server has no further output.");
    }
    if (fields.integer("top_logprobs", 0, 20).value_or(0) > 0) {
        fields.refuse("top_logprobs",
                      "This endpoint has no log probabilities; chat completions has.");
    }
    if (fields.text("truncation", 64).value_or("disabled") != "disabled") {
        fields.refuse("truncation", "This server never shortens a conversation.");
    }
    if (const auto text = fields.object("text")) {
        FieldReader reader(*text, "text");
        if (const auto format = reader.object("format")) {
            const auto type = format->find("type");
            if (!type || !type->is(JsonKind::kString) || type->as_string() != "text") {
                reader.refuse("format", "This server has no output format other than text yet.");
            }
        }
        if (auto error = reader.finish(false)) fields.refuse(std::move(*error));
    }
    fields.ignore({"reasoning", "max_tool_calls"});
}

// `input`: a string, or message items.
void read_input(FieldReader& fields, const Service& service, engine::ChatInput& chat) {
    const auto input = fields.find("input");
    if (input && input->is(JsonKind::kString)) {
        chat.messages.push_back({"user", std::string(input->as_string())});
        return;
    }
    read_messages(fields, service.limits, {"input", kRoles, kPartTypes}, chat);
}

void run_response(Service& service, std::shared_ptr<RequestContext> context, const JsonBody& body) {
    FieldReader fields(body.root());
    GenerationFields wanted;
    ResponsesEcho echo;
    engine::ChatInput chat;
    read_model(fields, service, wanted.model);
    refuse_unsupported_here(fields);
    refuse_unsupported(fields);
    read_stream(fields, wanted);
    read_max_tokens(fields, {"max_output_tokens"}, wanted);
    read_sampling(fields, service, wanted);
    read_extensions(fields, service, wanted);
    if (const auto instructions = fields.text("instructions", SIZE_MAX)) {
        echo.instructions = *instructions;
        chat.messages.push_back({"system", *echo.instructions});
    }
    read_input(fields, service, chat);
    if (const auto error = fields.finish(service.strict)) return context->fail(*error);
    context->model = wanted.model;
    echo.model = wanted.model;
    echo.max_output_tokens = wanted.max_tokens;
    echo.temperature = static_cast<double>(wanted.sampling.temperature);
    echo.top_p = static_cast<double>(wanted.sampling.top_p);

    engine::EncodedChat prompt;
    if (auto error = encode_chat(service, chat, prompt)) {
        error->param = "input";
        return context->fail(*error);
    }
    uint32_t max_tokens = 0;
    if (const auto error = fit_context(service, wanted, prompt.ids.size(), "input", max_tokens)) {
        return context->fail(*error);
    }
    GenerationPlan plan;
    append_requests(service, wanted, context->caller, std::move(prompt.ids), max_tokens,
                    plan.requests);
    plan.form = std::make_unique<ResponsesForm>(std::move(echo));
    plan.stream = wanted.stream;
    GenerationJob::start(service, std::move(context), std::move(plan));
}

}  // namespace

void add_responses_routes(RouteTable& table, Service& service) {
    table.add(json_route(service, "/v1/responses", "Answers a conversation; stores nothing.",
                         run_response));
}

}  // namespace tenon::server
