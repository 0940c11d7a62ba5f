// Which architectures exist.
#pragma once

#include "core/model/model.h"

namespace tenon::model {

// Reads the model that `file` describes. kUnsupported names the architecture and the known ones;
// kData names the metadata key or tensor that is missing or has the wrong shape.
Result<std::unique_ptr<Model>> load_model(const formats::GgufFile& file);

}  // namespace tenon::model
