#include "core/hub/outcome.h"

#include "core/hub/range_headers.h"
#include "core/net/url.h"

#include <fmt/format.h>

namespace tenon::hub {

using std::chrono::milliseconds;

Outcome judge(const Error& error) {
    const bool is_passing =
        error.code == Code::kBusy || error.code == Code::kTimeout || error.code == Code::kData;
    Outcome outcome = is_passing ? Outcome::retry(error) : Outcome::fatal(error);
    outcome.is_absent = error.code == Code::kBusy;
    return outcome;
}

Outcome judge(const FetchAnswer& answer, Error explained, milliseconds after_max) {
    const bool is_passing = answer.status == 408 || answer.status == 429 || answer.status == 500 ||
                            answer.status == 502 || answer.status == 503 || answer.status == 504;
    if (!is_passing) return Outcome::fatal(std::move(explained));
    const milliseconds after = retry_after(answer.headers).value_or(milliseconds(0));
    if (after > after_max) {
        explained.message += fmt::format("; it asks to come back in {} s", after.count() / 1000);
        return Outcome::fatal(std::move(explained));
    }
    return Outcome::retry(std::move(explained), after);
}

Error explain_status(const FetchAnswer& answer, const std::string& what) {
    const Result<net::Url> url = net::parse_url(answer.sent.url);
    const std::string host = url.ok() ? url->authority() : "the server";
    const bool is_passing = answer.status == 429 || answer.status >= 500;
    return {is_passing ? Code::kBusy : Code::kInvalid,
            fmt::format("{} answered {} ({}) when asked for {}", host, answer.status,
                        net::reason_of(answer.status), what)};
}

}  // namespace tenon::hub
