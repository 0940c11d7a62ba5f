#include "core/base/bytes.h"

#include <fmt/format.h>

namespace tenon {

Result<uint64_t> CheckedSize::get(std::string_view what) const {
    if (!ok()) return Error{Code::kInvalid, fmt::format("{} does not fit in 64 bits", what)};
    return value_;
}

Error truncated(std::string_view what, uint64_t offset, uint64_t needed, uint64_t size) {
    const CheckedSize end = CheckedSize(offset) + needed;
    if (!end.ok())
        return {Code::kData,
                fmt::format("truncated: {} at offset {:#x} claims {} bytes, more than any "
                            "file can hold, has {} bytes",
                            what, offset, needed, size)};
    return {Code::kData, fmt::format("truncated: {} at offset {:#x} needs {} bytes, has {} bytes",
                                     what, offset, end.value(), size)};
}

std::string printable(std::string_view text, size_t length_max) {
    std::string out;
    for (const char c : text.substr(0, length_max)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte > 0x7e)
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
    if (text.size() > length_max) out += "...";
    return out;
}

}  // namespace tenon
