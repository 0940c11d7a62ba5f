// Which files of a repository make one model, what its quantization is called, and which one a user
// means.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::hub {

// A file that a repository lists.
struct RepoFile {
    std::string name;  // a safe path
    uint64_t size = 0;
    std::string etag;    // the blob's name in the cache: the content's sha256, or git's id of it
    std::string sha256;  // 64 hexadecimal digits; empty where git keeps the file itself
};

// One model: a .gguf file, or all parts of a split one in order.
struct ModelFiles {
    std::string stem;   // path without ".gguf" and the part's number
    std::string quant;  // "Q4_K_M"; empty when the name tells none
    std::vector<RepoFile> files;
    uint64_t parts_wanted = 1;

    uint64_t bytes() const;
    bool is_complete() const { return files.size() == parts_wanted; }
};

// The quantization in a file's name, in capitals: "model.q4_k_m.gguf" -> "Q4_K_M"; "UD-" stays.
std::string quantization_of(std::string_view file);

// Whether a repository's file is a model, by name: ".gguf", but no projector and no importance matrix.
bool is_model_file(std::string_view file);

// Models among files, by stem; other files are left out.
std::vector<ModelFiles> group_models(const std::vector<RepoFile>& files);

// The one that `wanted` names: a quantization, a file or a stem, without regard to case. Empty: the
// only one there is, else the first of default_order(). kUnsupported: there is none of that name;
// kInvalid: several are meant, or parts are missing; both list what there is. `where` begins the
// sentence.
Result<ModelFiles> choose_model(const std::vector<ModelFiles>& models, std::string_view wanted,
                                std::string_view where);

// Quantizations that are taken when none is named, the first that is there.
const std::vector<std::string>& default_order();

}  // namespace tenon::hub
