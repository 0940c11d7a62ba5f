// POST /v1/completions.
#pragma once

#include "core/server/json_body.h"
#include "core/server/service.h"

#include <memory>

namespace tenon::server {

// Answers `body`, on the calling thread up to the engine's queue. Slow.
void run_completion(Service& service, std::shared_ptr<RequestContext> context,
                    const JsonBody& body);

}  // namespace tenon::server
