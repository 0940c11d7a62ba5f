// A stored weight format that a manifest describes, so that no code has to be written for it.
#pragma once

#include <tenon/abi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace YAML {
class Node;
}

namespace tenon::host {

class ManifestReader;

// Formats of one manifest at most; the limits of each are those of tenon/reference/dequant.h.
constexpr size_t kManifestFormatsMax = 64;

// Copyable; owns all that its description points to.
struct DeclaredFormat {
    std::string where;  // "/.../plugin.yaml:7"
    std::string name;   // such as q3_toy: [a-z][a-z0-9_]*, at most 64 bytes
    std::string id;     // such as toy.q3/0: a name with dots, a slash, a revision
    uint32_t gguf_type = 0;
    std::vector<float> lut;
    std::vector<tenon_bit_field> code_fields, scale_fields, min_fields;

    // Views this object.
    tenon_format format() const;

    tenon_format numbers{};  // the members of format() that point nowhere
};

// Reads the list under `formats`. What is returned passes reference::format_problem; no name, id or
// GGUF number is there twice. kInvalid: one sentence with the line.
Result<std::vector<DeclaredFormat>> read_formats(const ManifestReader& reader,
                                                 const YAML::Node& list);

}  // namespace tenon::host
