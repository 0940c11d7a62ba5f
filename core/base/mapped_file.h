// A regular file mapped read-only: how model bytes reach the parsers and the backends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/result.h"

namespace tenon {

// Owns one read-only private mapping of a whole file. Move-only; the mapping keeps its address when
// the owner moves, so views into bytes() live until the owner dies. Thread-compatible; release()
// and advise_sequential() may run while other threads read.
class MappedFile {
public:
    // Maps the file at `path`. A symlink is followed, once. What was opened must be a regular file
    // with at least one byte: kInvalid names a FIFO, device, socket, directory or empty file.
    // Never blocks on a FIFO.
    static Result<MappedFile> open(const std::string& path);

    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();

    std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
    const std::string& path() const noexcept { return path_; }

    // Gives the resident pages wholly inside [offset, offset + length) back to the system: they
    // leave this process's RSS and are read again from the file when touched. Clipped to the file.
    void release(uint64_t offset, uint64_t length) const noexcept;
    // Hints that the bytes will be read once, front to back.
    void advise_sequential() const noexcept;

    // kData when the file on disk no longer has the size and modification time it was opened with:
    // then the mapped bytes are not the file that was checked.
    Status check_unchanged() const;

private:
    MappedFile() = default;
    void close() noexcept;

    std::string path_;
    const std::byte* data_ = nullptr;  // null after a move
    uint64_t size_ = 0;
    int fd_ = -1;
    int64_t mtime_s_ = 0;
    int64_t mtime_ns_ = 0;
    int slot_ = -1;  // place in the table behind is_mapped_file, -1 when it was full
};

// Whether `address` lies in a live MappedFile. Async-signal-safe: a SIGBUS handler asks it with
// si_addr to tell a model file cut short under the process from a bug. Knows the first 512 live
// files.
bool is_mapped_file(const void* address) noexcept;

}  // namespace tenon
