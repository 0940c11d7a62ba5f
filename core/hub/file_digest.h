// Digests of downloaded files, fast enough that the disk is what one waits for.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tenon::hub {

enum class DigestKind {
    kSha256,   // of the bytes
    kGitBlob,  // git's id of a file with these bytes: SHA-1 with a header in front
};

// Lower-case hexadecimal. `on_bytes` hears how many bytes have been read and may end it by
// returning false, which gives kCancelled.
Result<std::string> digest_file(const std::string& path, DigestKind kind,
                                const std::function<bool(uint64_t)>& on_bytes = {});

std::string sha256_of(std::string_view text);
std::string hmac_sha256(std::string_view key, std::string_view text);  // 32 raw bytes
std::string hexadecimal(std::string_view bytes);

}  // namespace tenon::hub
