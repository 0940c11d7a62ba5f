// /tokenize, /detokenize and /apply-template: the tokenizer and the template without the model.
#include "core/base/json_writer.h"
#include "core/server/chat_prompt.h"
#include "core/server/json_route.h"
#include "core/server/request_fields.h"

#include <fmt/format.h>

namespace tenon::server {

namespace {

// The messages of `body` through the template.
std::optional<ApiError> render(Service& service, FieldReader& fields, engine::EncodedChat& out) {
    engine::ChatInput chat;
    read_messages(fields, service.limits, {"messages", kOpenAiRoles, kTextPart}, chat);
    read_template_options(fields, chat);
    if (auto error = fields.finish(service.strict)) return error;
    return encode_chat(service, chat, out);
}

void run_tokenize(Service& service, std::shared_ptr<RequestContext> context, const JsonBody& body) {
    FieldReader fields(body.root());
    read_model(fields, service, context->model);
    const bool add_special = fields.flag("add_special_tokens").value_or(true);
    const bool with_strings = fields.flag("return_token_strs").value_or(false);
    const tokenizer::Tokenizer& tokenizer = service.model->tokenizer;
    engine::EncodedChat encoded;
    if (fields.has("messages")) {
        if (const auto error = render(service, fields, encoded)) return context->fail(*error);
    } else {
        const auto prompt = fields.text("prompt", SIZE_MAX);
        if (!prompt)
            fields.refuse("prompt", "'prompt' is missing; a string is expected, or messages.");
        if (const auto error = fields.finish(service.strict)) return context->fail(*error);
        Result<std::vector<int32_t>> ids =
            tokenizer.encode(*prompt, {.add_special = add_special, .parse_special = true});
        if (!ids.ok()) return context->fail(bad_field("prompt", ids.error().message));
        encoded.ids = std::move(ids).value();
    }
    JsonWriter json;
    json.begin_object().field("count", encoded.ids.size());
    json.field("max_model_len", service.context_length).array("tokens", encoded.ids);
    if (with_strings) {
        json.key("token_strs").begin_array();
        for (const int32_t id : encoded.ids)
            json.value(tokenizer.token_bytes(id));
        json.end_array();
    }
    json.end_object();
    context->respond_json(json.text());
}

void run_detokenize(Service& service, std::shared_ptr<RequestContext> context,
                    const JsonBody& body) {
    FieldReader fields(body.root());
    read_model(fields, service, context->model);
    const bool skip_special = fields.flag("skip_special_tokens").value_or(false);
    const auto array = fields.array("tokens", 0, SIZE_MAX);
    if (!array) fields.refuse("tokens", "'tokens' is missing; an array of token ids is expected.");
    std::vector<int32_t> ids;
    if (array) ids = fields.token_ids("tokens", *array, service.vocab_size);
    if (const auto error = fields.finish(service.strict)) return context->fail(*error);
    const Result<std::string> text =
        service.model->tokenizer.decode(ids, {.skip_special = skip_special});
    if (!text.ok()) return context->fail(bad_field("tokens", text.error().message));
    JsonWriter json;
    json.begin_object().field("prompt", *text).field("text", *text).end_object();
    context->respond_json(json.text());
}

void run_apply_template(Service& service, std::shared_ptr<RequestContext> context,
                        const JsonBody& body) {
    FieldReader fields(body.root());
    read_model(fields, service, context->model);
    engine::EncodedChat encoded;
    if (const auto error = render(service, fields, encoded)) return context->fail(*error);
    JsonWriter json;
    json.begin_object().field("prompt", encoded.text).end_object();
    context->respond_json(json.text());
}

}  // namespace

void add_text_routes(RouteTable& table, Service& service) {
    table.add(json_route(service, "/tokenize", "Token ids of a text or a conversation.",
                         run_tokenize, false));
    table.add(json_route(service, "/detokenize", "Text of token ids.", run_detokenize, false));
    table.add(json_route(service, "/apply-template", "The prompt that a conversation becomes.",
                         run_apply_template, false));
}

}  // namespace tenon::server
