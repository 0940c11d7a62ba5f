// /v1/chat/completions, /v1/completions, /v1/models.
#include "core/base/json_writer.h"
#include "core/server/json_route.h"
#include "core/server/openai_chat.h"
#include "core/server/openai_completions.h"
#include "core/server/request_ids.h"
#include "core/server/service.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::server {

namespace {

void write_model(JsonWriter& json, const Service& service, const std::string& name,
                 int64_t created) {
    json.begin_object().field("id", name).field("object", "model").field("created", created);
    json.field("owned_by", "tenon").field("root", service.model_names.front());
    json.field("max_model_len", service.context_length).end_object();
}

Route models(Service& service, int64_t created) {
    Route route;
    route.method = "GET";
    route.path = "/v1/models";
    route.summary = "Names of the models that are served.";
    route.run = [&service, created](std::shared_ptr<RequestContext> context) {
        JsonWriter json;
        json.begin_object().field("object", "list").key("data").begin_array();
        for (const std::string& name : service.model_names)
            write_model(json, service, name, created);
        json.end_array().end_object();
        context->respond_json(json.text());
    };
    return route;
}

Route model(Service& service, int64_t created) {
    Route route;
    route.method = "GET";
    route.path = "/v1/models/{model}";
    route.summary = "One model.";
    route.run = [&service, created](std::shared_ptr<RequestContext> context) {
        constexpr std::string_view kPrefix = "/v1/models/";
        const std::string name = context->request().path.substr(kPrefix.size());
        const auto& names = service.model_names;
        if (std::find(names.begin(), names.end(), name) == names.end()) {
            return context->fail({404,
                                  "invalid_request_error",
                                  "model_not_found",
                                  "model",
                                  fmt::format("The model '{}' is not served here; GET /v1/models "
                                              "lists those that are.",
                                              name.substr(0, 128)),
                                  {}});
        }
        JsonWriter json;
        write_model(json, service, name, created);
        context->respond_json(json.text());
    };
    return route;
}

}  // namespace

void add_openai_routes(RouteTable& table, Service& service) {
    const int64_t created = unix_time();
    table.add(json_route(service, "/v1/chat/completions", "Answers a conversation.", run_chat));
    table.add(json_route(service, "/v1/completions", "Continues prompts.", run_completion));
    table.add(models(service, created));
    table.add(model(service, created));
}

}  // namespace tenon::server
