// What the client may send and accept in header fields.
#pragma once

#include "core/net/http.h"

#include <string_view>

namespace tenon::net::client_fields {

// A method or a header's name (RFC 9110, 5.6.2).
bool is_token(std::string_view text);
// A value: no control character but the tab.
bool is_text(std::string_view text);
// Equal but for the case of ASCII letters.
bool same(std::string_view a, std::string_view b);
// Without spaces and tabs at its ends.
std::string_view trim(std::string_view text);
// Whether the comma-separated list of any header of this name has the token.
bool has_token(const Headers& headers, std::string_view name, std::string_view token);

}  // namespace tenon::net::client_fields
