#include "core/server/request_clock.h"

#include <fmt/format.h>

namespace tenon::server {

namespace {

// Requests whose answer is short and comes whole get the usual clock, all others the extended one.
constexpr uint64_t kShortTokens = 256;

}  // namespace

void set_request_clock(const Service& service, RequestContext& context, AnswerForm& form,
                       uint64_t tokens_max, bool stream) {
    const bool is_short = !stream && tokens_max <= kShortTokens;
    const std::chrono::milliseconds budget(is_short ? service.timeouts.usual.ms
                                                    : service.timeouts.extended.ms);
    ApiError error = error_of(Error{Code::kTimeout, ""});
    error.message = fmt::format("The request took longer than the {} ms that the '{}' clock gives.",
                                budget.count(), is_short ? "default" : "extended");
    net::Exchange::Expiry expiry;
    expiry.response = context.error_response(error);
    if (stream) form.error(error, expiry.stream_text);
    context.exchange->set_deadline(budget, std::move(expiry));
}

}  // namespace tenon::server
