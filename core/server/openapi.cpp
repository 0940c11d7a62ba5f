// /openapi.json: the route table and the limit table, in OpenAPI 3.1.
#include "core/base/json_writer.h"
#include "core/server/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace tenon::server {

namespace {

// A property and its schema, which is JSON text.
using Property = std::pair<std::string, std::string>;
using Properties = std::vector<Property>;

const std::string kString = R"({"type":"string"})";
const std::string kBoolean = R"({"type":["boolean","null"]})";
const std::string kCount = R"({"type":"integer","minimum":0})";
const std::string kNumber = R"({"type":"number"})";

std::string reference(std::string_view name) {
    return fmt::format(R"({{"$ref":"#/components/schemas/{}"}})", name);
}

std::string integer(int64_t min, int64_t max) {
    return fmt::format(R"({{"type":["integer","null"],"minimum":{},"maximum":{}}})", min, max);
}

std::string number(const char* range) {
    return fmt::format(R"({{"type":["number","null"],{}}})", range);
}

std::string choice(std::initializer_list<const char*> names) {
    JsonWriter json;
    json.begin_object().field("type", "string").array("enum", names).end_object();
    return json.text();
}

std::string constant(const char* name) { return fmt::format(R"({{"const":"{}"}})", name); }

std::string list(const std::string& items, uint64_t min, uint64_t max) {
    return fmt::format(R"({{"type":"array","items":{},"minItems":{},"maxItems":{}}})", items, min,
                       max);
}

std::string list(const std::string& items) {
    return fmt::format(R"({{"type":"array","items":{}}})", items);
}

std::string any_of(std::initializer_list<std::string> schemas) {
    return fmt::format(R"({{"anyOf":[{}]}})", fmt::join(schemas, ","));
}

std::string object(const Properties& properties, std::initializer_list<const char*> required = {}) {
    std::string text = R"({"type":"object","properties":{)";
    for (size_t i = 0; i < properties.size(); ++i) {
        text += fmt::format(R"({}"{}":{})", i > 0 ? "," : "", properties[i].first,
                            properties[i].second);
    }
    text += '}';
    if (required.size() > 0)
        text += fmt::format(R"(,"required":["{}"])", fmt::join(required, "\",\""));
    return text + '}';
}

Properties operator+(Properties left, const Properties& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

Properties sampling_fields(const config::Limits& limits) {
    return {
        {"temperature", number(R"("minimum":0,"maximum":2)")},
        {"top_p", number(R"("exclusiveMinimum":0,"maximum":1)")},
        {"min_p", number(R"("minimum":0,"maximum":1)")},
        {"top_k", integer(-1, INT32_MAX)},
        {"frequency_penalty", number(R"("minimum":-2,"maximum":2)")},
        {"presence_penalty", number(R"("minimum":-2,"maximum":2)")},
        {"repetition_penalty", number(R"("exclusiveMinimum":0,"maximum":10)")},
        {"seed", R"({"type":["integer","null"],"format":"int64"})"},
        {"logit_bias", fmt::format(R"({{"type":["object","null"],"maxProperties":{},)"
                                   R"("additionalProperties":{{"type":"number","minimum":-100,)"
                                   R"("maximum":100}}}})",
                                   limits.logit_bias)},
        {"min_tokens", integer(0, INT32_MAX)},
        {"ignore_eos", kBoolean},
        {"skip_special_tokens", kBoolean},
        {"stop_token_ids", list(kCount, 0, limits.stop_token_ids)},
        {"priority", R"({"type":["integer","null"]})"},
    };
}

std::string stop_strings(const config::Limits& limits) {
    const std::string one =
        fmt::format(R"({{"type":"string","minLength":1,"maxLength":{}}})", limits.stop_bytes);
    return any_of({one, list(one, 0, limits.stop_strings), R"({"type":"null"})"});
}

Properties stream_fields() {
    return {{"stream", kBoolean},
            {"stream_options",
             R"({"type":["object","null"],"properties":{"include_usage":{"type":"boolean"}}})"}};
}

std::string messages(const config::Limits& limits, std::initializer_list<const char*> roles) {
    const std::string part = object({{"type", kString}, {"text", kString}}, {"type", "text"});
    const std::string content = any_of({kString, list(part, 0, limits.content_parts)});
    return list(object({{"role", choice(roles)}, {"content", content}}, {"role", "content"}), 1,
                limits.messages);
}

std::string prompts(uint64_t max) {
    const std::string ids = list(kCount, 1, UINT32_MAX);
    return any_of({kString, list(kString, 1, max), ids, list(ids, 1, max)});
}

std::vector<Property> schemas_of(const config::Limits& limits,
                                 const std::vector<std::string>& model_names) {
    const std::string any_string = R"({"type":["string","null"]})";
    const std::string max_tokens = integer(1, INT32_MAX);
    const Properties sampling = sampling_fields(limits);
    JsonWriter served;
    served.begin_object().field("type", "string").array("enum", model_names).end_object();
    const Properties model = {{"model", served.text()}};
    const std::string chat = messages(limits, {"system", "developer", "user", "assistant", "tool"});
    const std::string usage =
        object({{"prompt_tokens", kCount}, {"completion_tokens", kCount}, {"total_tokens", kCount}},
               {"prompt_tokens", "total_tokens"});
    const std::string finish = R"({"type":["string","null"]})";
    const Properties answer = {{"id", kString},
                               {"object", kString},
                               {"created", kCount},
                               {"model", kString},
                               {"usage", usage}};
    return {
        {"Error", object({{"error", object({{"message", kString},
                                            {"type", kString},
                                            {"param", any_string},
                                            {"code", any_string}},
                                           {"message", "type", "param", "code"})}},
                         {"error"})},
        {"AnthropicError",
         object({{"type", constant("error")},
                 {"error", object({{"type", kString}, {"message", kString}}, {"type", "message"})}},
                {"type", "error"})},
        {"ChatRequest", object(model +
                                   Properties{{"messages", chat},
                                              {"max_tokens", max_tokens},
                                              {"max_completion_tokens", max_tokens},
                                              {"n", integer(1, limits.n)},
                                              {"logprobs", kBoolean},
                                              {"top_logprobs", integer(0, limits.top_logprobs)},
                                              {"stop", stop_strings(limits)}} +
                                   stream_fields() + sampling,
                               {"messages"})},
        {"ChatAnswer",
         object(
             answer + Properties{{"choices",
                                  list(object({{"index", kCount},
                                               {"message", object({{"role", constant("assistant")},
                                                                   {"content", any_string}},
                                                                  {"role", "content"})},
                                               {"finish_reason", finish}},
                                              {"index", "message", "finish_reason"}))}},
             {"id", "object", "created", "model", "choices", "usage"})},
        {"CompletionRequest", object(model +
                                         Properties{{"prompt", prompts(limits.completion_prompts)},
                                                    {"max_tokens", max_tokens},
                                                    {"n", integer(1, limits.n)},
                                                    {"echo", kBoolean},
                                                    {"logprobs", integer(0, limits.top_logprobs)},
                                                    {"stop", stop_strings(limits)}} +
                                         stream_fields() + sampling,
                                     {"prompt"})},
        {"InvocationRequest", any_of({reference("ChatRequest"), reference("CompletionRequest")})},
        {"CompletionAnswer",
         object(answer + Properties{{"choices", list(object({{"index", kCount},
                                                             {"text", kString},
                                                             {"finish_reason", finish}},
                                                            {"index", "text", "finish_reason"}))}},
                {"id", "object", "created", "model", "choices", "usage"})},
        {"ResponsesRequest",
         object(
             model +
                 Properties{{"input", any_of({kString, messages(limits, {"system", "developer",
                                                                         "user", "assistant"})})},
                            {"instructions", any_string},
                            {"max_output_tokens", max_tokens},
                            {"stream", kBoolean}} +
                 sampling,
             {"input"})},
        {"ResponsesAnswer", object({{"id", kString},
                                    {"object", constant("response")},
                                    {"status", kString},
                                    {"model", kString},
                                    {"output", list(R"({"type":"object"})")}},
                                   {"id", "object", "status", "model", "output"})},
        {"MessagesRequest",
         object(model +
                    Properties{{"messages", messages(limits, {"user", "assistant"})},
                               {"system", any_of({kString, list(object({{"type", kString},
                                                                        {"text", kString}}))})},
                               {"max_tokens", max_tokens},
                               {"stop_sequences", list(kString, 0, limits.stop_strings)},
                               {"stream", kBoolean}} +
                    sampling,
                {"messages", "max_tokens"})},
        {"MessagesAnswer",
         object({{"id", kString},
                 {"type", constant("message")},
                 {"role", constant("assistant")},
                 {"model", kString},
                 {"content", list(R"({"type":"object"})")},
                 {"stop_reason", any_string},
                 {"usage", R"({"type":"object"})"}},
                {"id", "type", "role", "model", "content", "stop_reason", "usage"})},
        {"CountTokensRequest",
         object(
             model + Properties{{"messages", messages(limits, {"user", "assistant"})},
                                {"system", any_of({kString, list(object({{"type", kString},
                                                                         {"text", kString}}))})}},
             {"messages"})},
        {"CountTokensAnswer", object({{"input_tokens", kCount}}, {"input_tokens"})},
        {"EmbeddingRequest",
         object(model + Properties{{"input", prompts(limits.embedding_inputs)},
                                   {"encoding_format", choice({"float", "base64"})},
                                   {"dimensions", integer(1, INT32_MAX)}},
                {"input"})},
        {"EmbeddingAnswer",
         object({{"object", constant("list")},
                 {"data", list(object({{"object", constant("embedding")},
                                       {"index", kCount},
                                       {"embedding", any_of({list(kNumber), kString})}},
                                      {"object", "index", "embedding"}))},
                 {"model", kString},
                 {"usage", usage}},
                {"object", "data", "model", "usage"})},
        {"TokenizeRequest", object(model + Properties{{"prompt", kString}, {"messages", chat}})},
        {"TokenizeAnswer", object({{"tokens", list(kCount)}, {"count", kCount}}, {"tokens"})},
        {"DetokenizeRequest", object(model + Properties{{"tokens", list(kCount)}}, {"tokens"})},
        {"TextAnswer", object({{"prompt", kString}, {"text", kString}}, {"prompt"})},
        {"ConversationRequest", object(model + Properties{{"messages", chat}}, {"messages"})},
        {"ModelList", object({{"object", constant("list")}, {"data", list(reference("Model"))}},
                             {"object", "data"})},
        {"Model", object({{"id", kString},
                          {"object", constant("model")},
                          {"created", kCount},
                          {"owned_by", kString}},
                         {"id", "object", "created", "owned_by"})},
        {"Status", object({{"status", kString}}, {"status"})},
        {"Anything", R"({"type":"object"})"},
    };
}

// What goes in and out of a route; routes that are not here say so by "Anything".
struct Shape {
    const char* path;
    const char* request;  // null: no body
    const char* answer;   // null: text
};
constexpr Shape kShapes[] = {
    {"/v1/chat/completions", "ChatRequest", "ChatAnswer"},
    {"/v1/completions", "CompletionRequest", "CompletionAnswer"},
    {"/v1/responses", "ResponsesRequest", "ResponsesAnswer"},
    {"/v1/messages", "MessagesRequest", "MessagesAnswer"},
    {"/v1/messages/count_tokens", "CountTokensRequest", "CountTokensAnswer"},
    {"/v1/embeddings", "EmbeddingRequest", "EmbeddingAnswer"},
    {"/tokenize", "TokenizeRequest", "TokenizeAnswer"},
    {"/detokenize", "DetokenizeRequest", "TextAnswer"},
    {"/apply-template", "ConversationRequest", "TextAnswer"},
    {"/invocations", "InvocationRequest", "Anything"},
    {"/v1/models", nullptr, "ModelList"},
    {"/v1/models/{model}", nullptr, "Model"},
    {"/livez", nullptr, "Status"},
    {"/health", nullptr, "Status"},
    {"/readyz", nullptr, "Status"},
    {"/health_generate", nullptr, "Status"},
};

Shape shape_of(const Route& route) {
    for (const Shape& shape : kShapes) {
        if (route.path == shape.path) return shape;
    }
    return {route.path.c_str(), route.method == "POST" ? "Anything" : nullptr, "Anything"};
}

std::string operation(const Route& route) {
    const Shape shape = shape_of(route);
    const char* error = speaks_anthropic(route.path) ? "AnthropicError" : "Error";
    JsonWriter summary;
    summary.value(route.summary);
    std::string text = fmt::format(R"({{"summary":{},"security":[{}])", summary.text(),
                                   route.access == Access::kPublic ? "" : R"({"key":[]})");
    if (const size_t brace = route.path.find('{'); brace != std::string::npos) {
        text += fmt::format(R"(,"parameters":[{{"name":"{}","in":"path","required":true,)"
                            R"("schema":{{"type":"string","minLength":1}}}}])",
                            route.path.substr(brace + 1, route.path.size() - brace - 2));
    }
    if (shape.request != nullptr) {
        text += fmt::format(R"(,"requestBody":{{"required":true,"content":{{"application/json":)"
                            R"({{"schema":{}}}}}}})",
                            reference(shape.request));
    }
    text += fmt::format(R"(,"responses":{{"200":{{"description":"the answer","content":{{)"
                        R"("application/json":{{"schema":{}}})",
                        reference(shape.answer));
    if (route.is_inference) {
        text += R"(,"text/event-stream":{"schema":{"type":"string"}})";
    }
    text += fmt::format(R"(}}}},"default":{{"description":"what went wrong","content":{{)"
                        R"("application/json":{{"schema":{}}}}}}}}}}})",
                        reference(error));
    return text;
}

std::string describe(const RouteTable& table, const Service& service) {
    std::string text =
        fmt::format(R"({{"openapi":"3.1.0","info":{{"title":"Tenon","version":"{}"}},"paths":{{)",
                    service.version);
    std::vector<std::string> paths;
    for (const Route& route : table.routes()) {
        if (route.access == Access::kAdmin) continue;
        std::vector<std::string> methods;
        for (const Route& other : table.routes()) {
            if (other.path != route.path || other.access == Access::kAdmin) continue;
            std::string method = other.method;
            for (char& c : method)
                c = static_cast<char>(c - 'A' + 'a');
            methods.push_back(fmt::format(R"("{}":{})", method, operation(other)));
        }
        std::string path = fmt::format(R"("{}":{{{}}})", route.path, fmt::join(methods, ","));
        if (std::find(paths.begin(), paths.end(), path) == paths.end()) {
            paths.push_back(std::move(path));
        }
    }
    text += fmt::format("{}", fmt::join(paths, ","));
    text += R"(},"components":{"securitySchemes":{"key":{"type":"http","scheme":"bearer"}},)"
            R"("schemas":{)";
    const std::vector<Property> schemas = schemas_of(service.limits, service.model_names);
    for (size_t i = 0; i < schemas.size(); ++i) {
        text += fmt::format(R"({}"{}":{})", i > 0 ? "," : "", schemas[i].first, schemas[i].second);
    }
    return text + "}}}";
}

}  // namespace

void add_openapi_route(RouteTable& table, Service& service) {
    // Written once, when the table is whole and the limits stand.
    struct Document {
        std::once_flag once;
        std::string text;
    };
    const auto document = std::make_shared<Document>();
    table.add(
        {"GET", "/openapi.json", Access::kKey, false, false, "this description, in OpenAPI 3.1",
         [&table, &service, document](std::shared_ptr<RequestContext> context) {
             std::call_once(document->once, [&] { document->text = describe(table, service); });
             context->respond_json(document->text);
         }});
}

}  // namespace tenon::server
