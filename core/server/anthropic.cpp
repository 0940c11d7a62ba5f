// POST /v1/messages and /v1/messages/count_tokens, in Anthropic's shapes.
#include "core/server/anthropic_form.h"
#include "core/server/chat_prompt.h"
#include "core/server/generation_job.h"
#include "core/server/json_route.h"
#include "core/server/request_fields.h"

#include <fmt/format.h>

namespace tenon::server {

namespace {

constexpr std::string_view kRoles[] = {"user", "assistant"};

// model, system, messages and what this server lacks: the fields that both endpoints take.
void read_conversation(FieldReader& fields, Service& service, std::string& model,
                       engine::ChatInput& chat) {
    read_model(fields, service, model);
    refuse_unsupported(fields);
    if (const auto thinking = fields.object("thinking")) {
        const auto type = thinking->find("type");
        const bool is_off = type && type->is(JsonKind::kString) && type->as_string() == "disabled";
        if (!is_off) fields.refuse("thinking", "This server has no separate thinking yet.");
    }
    for (const char* name : {"mcp_servers", "container", "output_format", "output_config"}) {
        const auto value = fields.find(name);
        if (value && value->size() > 0) fields.refuse(name, "This server has no such feature.");
    }
    if (const auto system = fields.find("system")) {
        auto text = read_content(fields, *system, "system", service.limits, kTextPart);
        if (text && !text->empty()) chat.messages.push_back({"system", std::move(*text)});
    }
    read_messages(fields, service.limits, {"messages", kRoles, kTextPart}, chat);
    // A last message of the assistant is the beginning of the answer.
    chat.continue_final_message =
        !chat.messages.empty() && chat.messages.back().role == "assistant";
}

void run_messages(Service& service, std::shared_ptr<RequestContext> context, const JsonBody& body) {
    FieldReader fields(body.root());
    GenerationFields wanted;
    engine::ChatInput chat;
    read_conversation(fields, service, wanted.model, chat);
    read_max_tokens(fields, {"max_tokens"}, wanted);
    if (!wanted.max_tokens) {
        fields.refuse("max_tokens", "'max_tokens' is missing; a positive integer is expected.");
    }
    read_sampling(fields, service, wanted);
    read_stop_strings(fields, "stop_sequences", service.limits, wanted);
    read_extensions(fields, service, wanted);
    wanted.stream = fields.flag("stream").value_or(false);
    if (const auto error = fields.finish(service.strict)) return context->fail(*error);
    context->model = wanted.model;

    engine::EncodedChat prompt;
    if (const auto error = encode_chat(service, chat, prompt)) return context->fail(*error);
    uint32_t max_tokens = 0;
    const size_t prompt_tokens = prompt.ids.size();
    if (const auto error = fit_context(service, wanted, prompt_tokens, "messages", max_tokens)) {
        return context->fail(*error);
    }
    GenerationPlan plan;
    append_requests(service, wanted, context->caller, std::move(prompt.ids), max_tokens,
                    plan.requests);
    plan.form = std::make_unique<AnthropicForm>(wanted.model, wanted.stop, prompt_tokens);
    plan.stream = wanted.stream;
    GenerationJob::start(service, std::move(context), std::move(plan));
}

void run_count_tokens(Service& service, std::shared_ptr<RequestContext> context,
                      const JsonBody& body) {
    FieldReader fields(body.root());
    engine::ChatInput chat;
    read_conversation(fields, service, context->model, chat);
    if (const auto error = fields.finish(service.strict)) return context->fail(*error);
    engine::EncodedChat prompt;
    if (const auto error = encode_chat(service, chat, prompt)) return context->fail(*error);
    context->respond_json(fmt::format(R"({{"input_tokens":{}}})", prompt.ids.size()));
}

}  // namespace

void add_anthropic_routes(RouteTable& table, Service& service) {
    table.add(json_route(service, "/v1/messages",
                         "Answers a conversation, as Anthropic's API does.", run_messages));
    table.add(json_route(service, "/v1/messages/count_tokens", "Tokens of a conversation.",
                         run_count_tokens, false));
}

}  // namespace tenon::server
