#include "core/host/status.h"

#include <fmt/format.h>

#include <cstring>
#include <string>

namespace tenon::host {

Error error_from_abi(int32_t code, const tenon_error& error, std::string_view call) {
    const bool known = code >= TENON_INVALID && code <= TENON_INTERNAL;
    std::string text(error.msg, strnlen(error.msg, sizeof error.msg));
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    if (text.empty()) text = fmt::format("{} failed with code {} and no text.", call, code);
    if (!known)
        text = fmt::format("{} returned {}, which is no tenon_status: {}", call, code, text);
    return Error{known ? static_cast<Code>(code) : Code::kInternal, std::move(text)};
}

}  // namespace tenon::host
