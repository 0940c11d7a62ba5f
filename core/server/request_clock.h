// How long a generating request may take before it is ended.
#pragma once

#include "core/server/answer_form.h"
#include "core/server/service.h"

#include <cstdint>

namespace tenon::server {

// Sets the exchange's deadline: 504 when nothing was sent, else an error event in the stream.
void set_request_clock(const Service& service, RequestContext& context, AnswerForm& form,
                       uint64_t tokens_max, bool stream);

}  // namespace tenon::server
