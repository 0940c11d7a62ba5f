#include "core/hub/s3.h"

#include "core/base/bytes.h"
#include "core/hub/file_digest.h"
#include "core/hub/remote_repo.h"
#include "core/net/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>

namespace tenon::hub {

namespace {

// Of an empty body.
constexpr const char* kNoBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

bool is_bucket(std::string_view name) {
    return name.size() >= 3 && name.size() <= 63 && name.front() != '.' && name.front() != '-' &&
           name.find("..") == std::string_view::npos &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
           });
}

std::string lower(std::string text) {
    for (char& c : text)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return text;
}

}  // namespace

Result<std::string> s3_url(std::string_view text, const AwsKeys& keys) {
    constexpr std::string_view kScheme = "s3://";
    const std::string_view rest = text.starts_with(kScheme) ? text.substr(kScheme.size()) : "";
    const size_t slash = rest.find('/');
    const std::string_view bucket = rest.substr(0, slash);
    if (!is_bucket(bucket) || slash == std::string_view::npos || slash + 1 == rest.size()) {
        return Error{Code::kInvalid,
                     fmt::format("'{}': expected s3://BUCKET/KEY", printable(text))};
    }
    const std::string key = url_encoded(rest.substr(slash + 1));
    if (!keys.endpoint.empty()) return fmt::format("{}/{}/{}", keys.endpoint, bucket, key);
    return fmt::format("https://{}.s3.{}.amazonaws.com/{}", bucket, keys.region, key);
}

net::Headers s3_sign(const std::string& url, const AwsKeys& keys, int64_t time,
                     const net::Headers& more) {
    const Result<net::Url> parsed = net::parse_url(url);
    if (!parsed.ok() || keys.access_key.empty() || keys.secret_key.empty()) return more;
    const std::time_t seconds = static_cast<std::time_t>(time);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char stamp[32];
    std::strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    const std::string date = std::string(stamp).substr(0, 8);

    net::Headers headers = more;
    headers.set("x-amz-content-sha256", kNoBody);
    headers.set("x-amz-date", stamp);
    if (!keys.session_token.empty()) headers.set("x-amz-security-token", keys.session_token);
    std::map<std::string, std::string> signed_headers = {{"host", parsed->authority()}};
    for (const net::Header& header : headers.all())
        signed_headers[lower(header.name)] = header.value;
    std::string canonical = "GET\n" + parsed->target.substr(0, parsed->target.find('?')) + "\n\n";
    std::string names;
    for (const auto& [name, value] : signed_headers) {
        canonical += name + ":" + value + "\n";
        names += (names.empty() ? "" : ";") + name;
    }
    canonical += "\n" + names + "\n" + kNoBody;
    const std::string scope = fmt::format("{}/{}/s3/aws4_request", date, keys.region);
    const std::string to_sign =
        fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", stamp, scope, sha256_of(canonical));
    std::string key = hmac_sha256("AWS4" + keys.secret_key, date);
    for (const std::string& part : {keys.region, std::string("s3"), std::string("aws4_request")})
        key = hmac_sha256(key, part);
    headers.set("Authorization",
                fmt::format("AWS4-HMAC-SHA256 Credential={}/{},SignedHeaders={},Signature={}",
                            keys.access_key, scope, names, hexadecimal(hmac_sha256(key, to_sign))));
    return headers;
}

}  // namespace tenon::hub
