// Writes GGUF v3: the header from pairs and tensors given in order, then the tensors' data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/format_list.h"
#include "core/formats/gguf.h"
#include "core/formats/new_file.h"

namespace tenon::formats {

// What stands before the data of a file, in the order of the calls. Copies all it is given.
class GgufHeader {
public:
    // `alignment`: of every tensor's data, a power of two from 8 on. It is not stored: that is the
    // pair general.alignment, needed unless it is 32.
    explicit GgufHeader(uint32_t alignment = 32) : alignment_(alignment) {}

    void add(std::string_view key, const GgufValue& value);
    void add(std::string_view key, uint32_t value);
    // dims[0] = columns; the data lies behind that of the tensor before.
    void add_tensor(std::string_view name, const StoredFormat& format,
                    std::span<const uint64_t> dims);

    uint32_t alignment() const noexcept { return alignment_; }
    // Bytes of each tensor's data, unpadded.
    std::span<const uint64_t> tensor_bytes() const noexcept { return tensor_bytes_; }
    // Magic to the start of the data, padded.
    std::string bytes() const;
    // Of the whole file; every tensor is padded, the last too. Not ok() when it overflows.
    CheckedSize file_bytes() const;

private:
    uint32_t alignment_;
    uint64_t pair_count_ = 0, tensor_count_ = 0;
    CheckedSize data_bytes_ = 0;
    std::string pairs_, tensors_;
    std::vector<uint64_t> tensor_bytes_;
};

// A file in the making; see NewFile. One thread.
class GgufWriter {
public:
    // Takes the disk that the whole file needs and writes the header.
    static Result<GgufWriter> create(const std::string& path, const GgufHeader& header,
                                     bool replace);

    // Appends data of the current tensor; the next one begins when all its bytes are there. Padding
    // is the writer's. kInternal: more data than tensors.
    Status write(std::span<const std::byte> data);
    // kInternal: a tensor lacks data.
    Status commit();

private:
    explicit GgufWriter(NewFile file) : file_(std::move(file)) {}
    Status pad();

    NewFile file_;
    uint32_t alignment_ = 0;
    std::vector<uint64_t> left_;  // bytes that each tensor still needs
    size_t tensor_ = 0;
};

}  // namespace tenon::formats
