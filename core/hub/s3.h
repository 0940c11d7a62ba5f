// s3://BUCKET/KEY as an HTTPS request, signed where there are keys.
#pragma once

#include "core/base/result.h"
#include "core/hub/places.h"
#include "core/net/http.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::hub {

// The URL of the object: BUCKET.s3.REGION.amazonaws.com/KEY, or ENDPOINT/BUCKET/KEY. kInvalid when
// it is no s3:// URL or the bucket's name is none.
Result<std::string> s3_url(std::string_view text, const AwsKeys& keys);

// Headers that sign a GET of `url` at `time`, seconds since 1970 (AWS Signature Version 4); also
// `more`, which is signed too. Nothing but `more` without keys.
net::Headers s3_sign(const std::string& url, const AwsKeys& keys, int64_t time,
                     const net::Headers& more = {});

}  // namespace tenon::hub
