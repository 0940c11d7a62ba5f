// POST /v1/chat/completions.
#pragma once

#include "core/server/answer_form.h"
#include "core/server/json_body.h"
#include "core/server/request_fields.h"
#include "core/server/service.h"

#include <memory>

namespace tenon::server {

// Answers `body`, on the calling thread up to the engine's queue. Slow.
void run_chat(Service& service, std::shared_ptr<RequestContext> context, const JsonBody& body);

// "chat.completion" and "chat.completion.chunk".
std::unique_ptr<AnswerForm> make_chat_form(const Service& service, const GenerationFields& fields);

}  // namespace tenon::server
