// A file that appears under its name whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/result.h"

namespace tenon::formats {

// Written as PATH.part beside its place and renamed when it is complete; the destructor removes
// what was not. A killed process leaves its .part behind, which the next writer of PATH takes over;
// a lock keeps two writers of one PATH apart. Move-only, one thread.
class NewFile {
public:
    // Refuses a PATH that exists, unless `replace`, and one that is no regular file; takes `bytes`
    // of disk at once, so that a disk too small is told of before any work.
    static Result<NewFile> create(const std::string& path, uint64_t bytes, bool replace);

    NewFile(NewFile&& other) noexcept;
    NewFile& operator=(NewFile&& other) noexcept;
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    ~NewFile();

    // Appends. kData: the disk is full; the message names the file.
    Status write(std::span<const std::byte> bytes);
    uint64_t size() const noexcept { return size_; }
    // Makes the file durable, then visible under its name. Nothing may follow.
    Status commit();

private:
    NewFile() = default;
    Error failed(const char* what) const;
    void discard() noexcept;

    std::string path_, part_;
    int fd_ = -1;
    uint64_t size_ = 0;
    bool replace_ = false;
};

}  // namespace tenon::formats
