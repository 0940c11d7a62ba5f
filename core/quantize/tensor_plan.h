// Which tensor of a model becomes what, decided before anything is written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/gguf.h"
#include "core/quantize/file_type.h"

namespace tenon::quantize {

// What the user asks for.
struct Request {
    std::string format;             // a file type, or the name or id of a format
    bool pure = false;              // every weight gets the format itself, no mixture
    bool allow_requantize = false;  // sources that have lost bits already are taken too
    // PATTERN=FORMAT: a part of a tensor's name, or with * and ? a pattern of all of it. The first
    // one that fits wins.
    std::vector<std::string> overrides = {};
};

struct TensorPlan {
    const formats::GgufTensor* tensor = nullptr;
    const formats::StoredFormat* target = nullptr;
    bool is_copied = false;  // bytes go over as they are
    std::string note;        // a sentence where the target is not what was asked for
};

struct Plan {
    uint32_t file_type = 0;  // general.file_type
    bool has_file_type = false;
    std::vector<TensorPlan> tensors;  // in file order
};

// kInvalid: the request names what does not exist, or a pattern that fits no tensor; kUnsupported:
// a source that needs allow_requantize.
Result<Plan> plan_tensors(const formats::GgufFile& file, const formats::FormatTable& table,
                          const Request& request);

}  // namespace tenon::quantize
