// Metrics and administration: the second listener.
#include "core/server/metrics.h"
#include "core/server/service.h"

namespace tenon::server {

void add_admin_routes(RouteTable& table, Service& service) {
    table.add({"GET", "/metrics", Access::kAdmin, true, false, "metrics in Prometheus' text format",
               [&service](std::shared_ptr<RequestContext> context) {
                   net::HttpResponse response;
                   response.headers.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
                   if (service.metrics != nullptr) response.body = service.metrics->render();
                   context->respond(std::move(response));
               }});
    table.add({"POST", "/flush_cache", Access::kAdmin, false, false,
               "drops every cached prefix that no running sequence uses",
               [&service](std::shared_ptr<RequestContext> context) {
                   if (!service.is_loaded.load() || service.engine == nullptr) {
                       return context->fail(
                           {503, "server_error", "loading", "", "The model is still loading.", 1});
                   }
                   service.engine->flush_cache();
                   context->respond_json("{\"status\":\"ok\"}");
               }});
}

}  // namespace tenon::server
