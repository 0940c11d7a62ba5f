// Where a redirect leads, and what of the request may go there.
#pragma once

#include "core/base/result.h"
#include "core/net/http_client.h"

#include <optional>

namespace tenon::net {

// The request to send next; nothing when `status` is no redirect with a Location. A relative
// location counts from the request's URL. Authorization, Cookie and Proxy-Authorization stay behind
// when scheme, host or port changes; a body is not sent again after 301, 302 or 303. kInvalid: the
// location is no URL, or it leaves https for http.
Result<std::optional<ClientRequest>> follow_redirect(const ClientRequest& request, int status,
                                                     const Headers& headers);

}  // namespace tenon::net
