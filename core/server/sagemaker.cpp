// /ping and /invocations: what SageMaker asks of a container.
#include "core/server/json_route.h"
#include "core/server/openai_chat.h"
#include "core/server/openai_completions.h"

namespace tenon::server {

namespace {

void run_invocation(Service& service, std::shared_ptr<RequestContext> context,
                    const JsonBody& body) {
    if (body.root().find("messages")) return run_chat(service, std::move(context), body);
    if (body.root().find("prompt")) return run_completion(service, std::move(context), body);
    context->fail(bad_field("messages",
                            "The body has neither 'messages' nor 'prompt'; the body of a "
                            "chat or of a completion is expected."));
}

Route ping(Service& service) {
    Route route;
    route.method = "GET";
    route.path = "/ping";
    route.access = Access::kPublic;
    route.summary = "200 when the server is ready, else 503.";
    route.run = [&service](std::shared_ptr<RequestContext> context) {
        const bool is_ready =
            service.is_loaded && !service.is_draining && service.engine->stats().is_ready;
        net::HttpResponse response;
        response.status = is_ready ? 200 : 503;
        context->respond(std::move(response));
    };
    return route;
}

}  // namespace

void add_sagemaker_routes(RouteTable& table, Service& service) {
    table.add(ping(service));
    table.add(json_route(service, "/invocations", "A chat or a completion, as its body says.",
                         run_invocation));
}

}  // namespace tenon::server
