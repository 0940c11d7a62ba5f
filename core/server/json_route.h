// Routes that take a JSON body.
#pragma once

#include "core/server/json_body.h"
#include "core/server/service.h"

#include <memory>

namespace tenon::server {

// Runs on a worker thread; answers in every case.
using BodyHandler = void (*)(Service&, std::shared_ptr<RequestContext>, const JsonBody&);

// POST `path`: parses the body, or answers 400, and hands it on. `is_inference`: counts against
// queue, rate and token limits.
Route json_route(Service& service, const char* path, const char* summary, BodyHandler handler,
                 bool is_inference = true);

}  // namespace tenon::server
