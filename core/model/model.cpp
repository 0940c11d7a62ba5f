#include "core/model/model.h"

#include "core/formats/gguf.h"

namespace tenon::model {

std::span<const std::byte> WeightSpec::stored_bytes() const noexcept {
    if (stored == nullptr) return {};
    const size_t row = stored->bytes.size() / static_cast<size_t>(stored->rows());
    return stored->bytes.subspan(static_cast<size_t>(stored_row) * row,
                                 static_cast<size_t>(rows) * row);
}

}  // namespace tenon::model
