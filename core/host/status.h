// The tenon_error of a plugin as an Error of the core.
#pragma once

#include <tenon/abi.h>

#include <string_view>

#include "core/base/result.h"

namespace tenon::host {

static_assert(static_cast<int>(Code::kOk) == TENON_OK);
static_assert(static_cast<int>(Code::kInvalid) == TENON_INVALID);
static_assert(static_cast<int>(Code::kUnsupported) == TENON_UNSUPPORTED);
static_assert(static_cast<int>(Code::kOomDevice) == TENON_OOM_DEVICE);
static_assert(static_cast<int>(Code::kOomHost) == TENON_OOM_HOST);
static_assert(static_cast<int>(Code::kBusy) == TENON_BUSY);
static_assert(static_cast<int>(Code::kTimeout) == TENON_TIMEOUT);
static_assert(static_cast<int>(Code::kCancelled) == TENON_CANCELLED);
static_assert(static_cast<int>(Code::kDeviceLost) == TENON_DEVICE_LOST);
static_assert(static_cast<int>(Code::kData) == TENON_DATA);
static_assert(static_cast<int>(Code::kInternal) == TENON_INTERNAL);

// An empty error to hand to a plugin.
inline tenon_error make_abi_error() noexcept {
    tenon_error error;
    error.size = sizeof error;
    error.code = TENON_OK;
    error.node = TENON_NONE;
    error.flags = 0;
    error.msg[0] = '\0';
    return error;
}

// The error of slot `call`, which returned `code` (not TENON_OK) and filled `error`. A plugin's text
// is not trusted: it is cut at TENON_ERROR_TEXT and control bytes are replaced. An unknown code is
// kInternal.
Error error_from_abi(int32_t code, const tenon_error& error, std::string_view call);

}  // namespace tenon::host
