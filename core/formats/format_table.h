// Weight formats by number and name: the built-in ones, and those that somebody declares.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/formats/format_list.h"

namespace tenon::formats {

// Move-only; a format keeps its address until the table dies. Thread-safe for reading.
class FormatTable {
public:
    // Adds a copy of `format` and of everything it points to. kInvalid when it is not one that
    // reference::dequant_row decodes, or its number, name or id is taken: the sentence names
    // `origin`, who declares it, and who has it. A number that a published GGUF writer uses goes
    // with its published name alone.
    Status add(const StoredFormat& format, std::string_view origin);
    // Remembers why tensors of this number cannot be read, for the reader's message.
    void refuse(uint32_t gguf_type, std::string sentence);

    // Null when no format has that number, name or id.
    const StoredFormat* find_gguf(uint32_t gguf_type) const noexcept;
    const StoredFormat* find(std::string_view name_or_id) const noexcept;
    // Empty unless refuse() was told of the number.
    std::string_view refusal(uint32_t gguf_type) const noexcept;
    // Names of all formats, built-in ones first, with ", " between them.
    std::string names() const;

private:
    struct Declared {
        std::string name, id, origin;
        std::vector<float> lut;
        std::vector<tenon_bit_field> code_fields, scale_fields, min_fields;
        StoredFormat format;  // views the above
    };

    std::vector<std::unique_ptr<const Declared>> declared_;
    std::vector<std::pair<uint32_t, std::string>> refused_;
};

}  // namespace tenon::formats
