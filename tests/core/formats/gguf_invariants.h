// What must hold of every file that parse_gguf accepts, and of every model that join_gguf makes of
// several; shared by the mutants and the fuzz targets.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/formats/gguf.h"
#include "core/formats/gguf_vocabulary.h"

namespace tenon::formats {

// Reads everything the index points at. Empty when every promise of gguf.h holds, else the broken
// one. `parts` are the bytes of its files.
inline std::string broken_promise(const GgufFile& file,
                                  std::span<const std::span<const std::byte>> parts) {
    const auto inside = [&](const void* data, size_t size, size_t part = 0) {
        const std::byte* const begin = parts[part].data();
        const std::byte* const end = begin + parts[part].size();
        const auto* at = static_cast<const std::byte*>(data);
        return size == 0 || (at >= begin && at <= end && size <= static_cast<size_t>(end - at));
    };
    if (file.part_count() != parts.size()) return "the parts are counted wrong";
    uint64_t sum = 0;
    for (const GgufPair& pair : file.pairs()) {
        if (!inside(pair.key.data(), pair.key.size())) return "a key lies outside the file";
        if (!inside(pair.value.bytes.data(), pair.value.bytes.size()))
            return "a value lies outside";
        if (file.find(pair.key) != &pair.value) return "a key is not found, or there twice";
        for (const std::byte b : pair.value.bytes)
            sum += static_cast<uint64_t>(b);
        if (pair.value.type == GgufType::kArray && pair.value.element == GgufType::kString) {
            uint64_t seen = 0;
            for (const std::string_view text : GgufStrings(pair.value)) {
                if (!inside(text.data(), text.size())) return "a string lies outside the file";
                ++seen;
            }
            if (seen != pair.value.count) return "an array has another length than it says";
        }
        sum += describe(pair.value).size();
    }
    std::vector<const GgufTensor*> by_offset;
    for (const GgufTensor& tensor : file.tensors()) {
        if (file.find_tensor(tensor.name) != &tensor)
            return "a tensor is not found, or there twice";
        if (tensor.part >= parts.size()) return "a tensor is in no part";
        if (tensor.bytes.empty() || !inside(tensor.bytes.data(), tensor.bytes.size(), tensor.part))
            return "tensor data lies outside the file";
        if (tensor.bytes.data() != parts[tensor.part].data() + tensor.offset)
            return "offset and bytes disagree";
        // data_offset() and alignment() are the first part's; the others' was checked alone.
        if (tensor.part == 0 && (tensor.offset - file.data_offset()) % file.alignment() != 0)
            return "a tensor is misaligned";
        if (tensor.part == 0 && tensor.offset < file.data_offset())
            return "a tensor lies in the header";
        const CheckedSize elements =
            CheckedSize(tensor.dims[0]) * tensor.dims[1] * tensor.dims[2] * tensor.dims[3];
        const tenon_format& format = tensor.format->format;
        if (!elements.ok() || elements.value() == 0 || tensor.cols() % format.block_elems != 0)
            return "a shape makes no sense";
        if (elements.value() / format.block_elems * format.block_bytes != tensor.bytes.size())
            return "shape and bytes disagree";
        for (const std::byte b : tensor.bytes)
            sum += static_cast<uint64_t>(b);
        by_offset.push_back(&tensor);
    }
    std::sort(by_offset.begin(), by_offset.end(), [](const GgufTensor* a, const GgufTensor* b) {
        return a->part != b->part ? a->part < b->part : a->offset < b->offset;
    });
    for (size_t i = 1; i < by_offset.size(); ++i)
        if (by_offset[i - 1]->part == by_offset[i]->part &&
            by_offset[i - 1]->offset + by_offset[i - 1]->bytes.size() > by_offset[i]->offset)
            return "two tensors overlap";
    const auto vocabulary = parse_vocabulary(file);
    if (vocabulary.ok() && vocabulary->tokens.empty()) return "a vocabulary without tokens";
    volatile uint64_t keep = sum;  // the reads above must happen
    (void)keep;
    return {};
}

inline std::string broken_promise(const GgufFile& file, std::span<const std::byte> bytes) {
    return broken_promise(file, std::span(&bytes, 1));
}

}  // namespace tenon::formats
