#include "core/server/request_clock.h"

#include "core/server/route_clock.h"

namespace tenon::server {

void set_request_clock(const Service& service, RequestContext& context, AnswerForm& form,
                       uint64_t tokens_max, bool stream) {
    const net::ChosenTimeout choice = choose_clock(service, *context.route, tokens_max, stream);
    const ApiError error = clock_error(choice);
    net::Exchange::Expiry expiry;
    expiry.response = context.error_response(error);
    context.add_headers(expiry.response.headers);
    if (stream) form.error(error, expiry.stream_text);
    context.exchange->set_deadline(choice.duration, std::move(expiry));
}

}  // namespace tenon::server
