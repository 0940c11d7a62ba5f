#include "core/engine/progress_page.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::engine {

namespace {

constexpr size_t kPageBytes = 4096;
static_assert(sizeof(ProgressWords) <= kPageBytes);

Result<ProgressWords*> map(int fd) {
    void* at = mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return Error{Code::kOomHost,
                     fmt::format("the progress page cannot be mapped: {}", std::strerror(errno))};
    // The kernel's zeros are the words' initial state.
    return static_cast<ProgressWords*>(at);
}

}  // namespace

Result<ProgressPage> ProgressPage::create() {
    ProgressPage page;
    page.fd_ = memfd_create("tenon-progress", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    // Sealed, so that no reader can meet a page that was cut away.
    if (page.fd_ < 0 || ftruncate(page.fd_, kPageBytes) != 0 ||
        fcntl(page.fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return Error{Code::kOomHost,
                     fmt::format("the progress page cannot be created: {}", std::strerror(errno))};
    TENON_TRY(page.words_, map(page.fd_));
    return page;
}

Result<ProgressPage> ProgressPage::open(int fd) {
    struct stat info {};
    if (fstat(fd, &info) != 0 || info.st_size != static_cast<off_t>(kPageBytes))
        return Error{Code::kInvalid, fmt::format("descriptor {} is not a progress page", fd)};
    ProgressPage page;
    TENON_TRY(page.words_, map(fd));
    close(fd);
    return page;
}

ProgressPage::ProgressPage(ProgressPage&& other) noexcept
    : words_(std::exchange(other.words_, nullptr)), fd_(std::exchange(other.fd_, -1)) {}

ProgressPage& ProgressPage::operator=(ProgressPage&& other) noexcept {
    std::swap(words_, other.words_);
    std::swap(fd_, other.fd_);
    return *this;
}

ProgressPage::~ProgressPage() {
    if (words_ != nullptr) munmap(words_, kPageBytes);
    if (fd_ >= 0) close(fd_);
}

}  // namespace tenon::engine
