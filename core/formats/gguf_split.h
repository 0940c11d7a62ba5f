// Models in several files, as splitters of GGUF write them: NAME-00001-of-00003.gguf and so on. Each
// part is a whole GGUF file with some of the tensors; the first one has the metadata. load_gguf
// (gguf.h) opens them all when it is given any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/formats/gguf.h"

namespace tenon::formats {

// A part by its path: stem + "-00002-of-00003.gguf".
struct SplitName {
    std::string stem;
    uint32_t part = 0;   // counted from 0
    uint32_t count = 0;  // of all parts
};

// Nothing when `path` does not end like a part: five digits, the first number in 1 .. the second.
std::optional<SplitName> find_split_name(const std::string& path);
// Path of another part of the same model.
std::string split_path(const SplitName& name, uint32_t part);

// Parts of the model that `file` is one of, by its key split.count; 1 when it is whole. kInvalid
// when the keys split.* contradict each other or a limit.
Result<uint32_t> count_parts(const GgufFile& file, const GgufLimits& limits = {});

// The index of the model whose parts are given in order, with their paths for messages. kInvalid,
// with the path of the part at fault, when split.no, split.count or split.tensors.count of one
// disagrees with the others, when a tensor is in two parts, when a part has metadata that the first
// one has not, and when all together pass a limit.
Result<GgufFile> join_gguf(std::vector<GgufFile> parts, std::span<const std::string> paths,
                           const GgufLimits& limits = {});

}  // namespace tenon::formats
