// The file that a download writes: room for it is taken first, its bytes come in any order.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::hub {

// Owns the descriptor; move-only. write() from any thread, the rest from one.
class OutputFile {
public:
    // Makes the file, or opens what is there; never through a symlink.
    static Result<OutputFile> open(const std::string& path);

    OutputFile(OutputFile&& other) noexcept;
    OutputFile& operator=(OutputFile&& other) noexcept;
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;
    ~OutputFile();

    // Takes disk space for `size` bytes and makes the file that long. kOomHost names what is free;
    // the file then has the length it had.
    Status reserve(uint64_t size);
    // kOomHost: the disk is full.
    Status write(uint64_t offset, std::string_view bytes) const;
    Status cut(uint64_t size) const;
    Status sync() const;

private:
    OutputFile(int file, std::string path) : file_(file), path_(std::move(path)) {}
    Error failed(const char* what, int number) const;

    int file_;
    std::string path_;
};

// Replaces `path` by a file with this text; readers see the old or the new one.
Status write_whole(const std::string& path, std::string_view text);
// At most `bytes_max` bytes; nothing when there is no such file or it is longer.
std::string read_whole(const std::string& path, uint64_t bytes_max);
// Bytes free for this user on the disk of `folder`; 0 when it cannot be asked.
uint64_t free_bytes(const std::string& folder);

}  // namespace tenon::hub
