#include "core/server/json_route.h"

#include <utility>

namespace tenon::server {

Route json_route(Service& service, const char* path, const char* summary, BodyHandler handler,
                 bool is_inference) {
    Route route;
    route.method = "POST";
    route.path = path;
    route.is_slow = true;
    route.is_inference = is_inference;
    route.summary = summary;
    route.run = [&service, handler](std::shared_ptr<RequestContext> context) {
        JsonBody body;
        if (const auto error = JsonBody::parse(context->request().body, service.limits, body)) {
            return context->fail(*error);
        }
        handler(service, std::move(context), body);
    };
    return route;
}

}  // namespace tenon::server
