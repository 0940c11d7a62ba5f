#include "core/hub/file_digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::hub {

namespace {

constexpr size_t kPieceBytes = 1u << 20;

}  // namespace

std::string hexadecimal(std::string_view bytes) {
    std::string text;
    for (const char c : bytes)
        text += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return text;
}

std::string sha256_of(std::string_view text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
    return hexadecimal({reinterpret_cast<const char*>(digest), size});
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
    return {reinterpret_cast<const char*>(digest), size};
}

Result<std::string> digest_file(const std::string& path, DigestKind kind,
                                const std::function<bool(uint64_t)>& on_bytes) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return Error{Code::kInvalid, fmt::format("cannot open {}: {}", path, std::strerror(errno))};
    }
    const std::unique_ptr<const int, void (*)(const int*)> closer(&file,
                                                                  [](const int* f) { close(*f); });
    struct stat status {};
    if (fstat(file, &status) != 0) {
        return Error{Code::kInvalid, fmt::format("cannot read {}: {}", path, std::strerror(errno))};
    }
    posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                     EVP_MD_CTX_free);
    const EVP_MD* const type = kind == DigestKind::kSha256 ? EVP_sha256() : EVP_sha1();
    if (context == nullptr || EVP_DigestInit_ex(context.get(), type, nullptr) != 1) {
        return Error{Code::kInternal, "OpenSSL has no such digest"};
    }
    if (kind == DigestKind::kGitBlob) {
        const std::string head = fmt::format("blob {}", status.st_size);
        EVP_DigestUpdate(context.get(), head.c_str(), head.size() + 1);  // with its NUL
    }
    std::vector<char> piece(kPieceBytes);
    uint64_t seen = 0;
    while (true) {
        const ssize_t count = read(file, piece.data(), piece.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            return Error{Code::kInvalid,
                         fmt::format("cannot read {}: {}", path, std::strerror(errno))};
        }
        if (count == 0) break;
        EVP_DigestUpdate(context.get(), piece.data(), static_cast<size_t>(count));
        seen += static_cast<uint64_t>(count);
        if (on_bytes && !on_bytes(seen)) return Error{Code::kCancelled, "interrupted"};
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context.get(), digest, &size);
    return hexadecimal({reinterpret_cast<const char*>(digest), size});
}

}  // namespace tenon::hub
