#include "core/server/answer_form.h"

#include "core/server/sse_writer.h"

namespace tenon::server {

void AnswerForm::error(const ApiError& error, std::string& out) const {
    append_event(out, openai_body(error));
}

}  // namespace tenon::server
