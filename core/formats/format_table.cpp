#include "core/formats/format_table.h"

#include <fmt/format.h>
#include <tenon/reference/dequant.h>

namespace tenon::formats {
namespace {

std::string_view text_of(tenon_str text) { return {text.p, text.n}; }

bool is_called(const StoredFormat& format, std::string_view name_or_id) {
    return format.name == name_or_id || text_of(format.format.id) == name_or_id;
}

template <class T>
const T* kept(std::vector<T>& out, const T* items, uint32_t count) {
    out.assign(items, items + count);
    return count == 0 ? nullptr : out.data();
}

Error refused(std::string_view origin, const StoredFormat& format, const std::string& why) {
    return {Code::kInvalid,
            fmt::format("{}: format '{}': {}", origin, printable(format.name), why)};
}

// Why a declared format may not have its number or its name, or nothing.
std::string published_problem(const StoredFormat& format) {
    const std::string_view owner = gguf_type_name(format.gguf_type);
    if (!owner.empty() && owner != format.name)
        return fmt::format("number {} is {}'s in published GGUF files", format.gguf_type, owner);
    constexpr uint32_t kPublishedEnd = 64;
    for (uint32_t type = 0; type < kPublishedEnd; ++type)
        if (gguf_type_name(type) == format.name && type != format.gguf_type)
            return fmt::format("the name is that of number {} in published GGUF files", type);
    return {};
}

}  // namespace

Status FormatTable::add(const StoredFormat& format, std::string_view origin) {
    if (const char* problem = reference::format_problem(format.format); problem != nullptr)
        return refused(origin, format, problem);
    const auto clash = [&](const StoredFormat& other) -> std::string {
        if (other.gguf_type == format.gguf_type)
            return fmt::format("number {} is taken by '{}'", format.gguf_type, other.name);
        if (is_called(other, format.name) || is_called(other, text_of(format.format.id)))
            return fmt::format("'{}' ({}) has that name or id", other.name,
                               text_of(other.format.id));
        return {};
    };
    for (const StoredFormat& other : stored_formats())
        if (const std::string why = clash(other); !why.empty())
            return refused(origin, format, why + ", which is built in");
    for (const auto& other : declared_)
        if (const std::string why = clash(other->format); !why.empty())
            return refused(origin, format, why + ", which " + other->origin + " declares");
    if (const std::string why = published_problem(format); !why.empty())
        return refused(origin, format, why);

    auto copy = std::make_unique<Declared>();
    copy->name = format.name;
    copy->id = text_of(format.format.id);
    copy->origin = origin;
    tenon_format described = format.format;
    described.id = {copy->id.data(), copy->id.size()};
    described.lut = kept(copy->lut, described.lut, described.lut_n);
    described.code_fields = kept(copy->code_fields, described.code_fields, described.n_code_fields);
    described.scale_fields =
        kept(copy->scale_fields, described.scale_fields, described.n_scale_fields);
    described.min_fields = kept(copy->min_fields, described.min_fields, described.n_min_fields);
    copy->format = {format.gguf_type, copy->name, described};
    declared_.push_back(std::move(copy));
    return {};
}

void FormatTable::refuse(uint32_t gguf_type, std::string sentence) {
    refused_.emplace_back(gguf_type, std::move(sentence));
}

const StoredFormat* FormatTable::find_gguf(uint32_t gguf_type) const noexcept {
    if (const StoredFormat* built_in = find_gguf_format(gguf_type)) return built_in;
    for (const auto& declared : declared_)
        if (declared->format.gguf_type == gguf_type) return &declared->format;
    return nullptr;
}

const StoredFormat* FormatTable::find(std::string_view name_or_id) const noexcept {
    if (const StoredFormat* built_in = find_format(name_or_id)) return built_in;
    for (const auto& declared : declared_)
        if (is_called(declared->format, name_or_id)) return &declared->format;
    return nullptr;
}

std::string_view FormatTable::refusal(uint32_t gguf_type) const noexcept {
    for (const auto& [type, sentence] : refused_)
        if (type == gguf_type) return sentence;
    return {};
}

std::string FormatTable::names() const {
    std::string names;
    const auto add_name = [&](std::string_view name) {
        if (!names.empty()) names += ", ";
        names += name;
    };
    for (const StoredFormat& format : stored_formats())
        add_name(format.name);
    for (const auto& declared : declared_)
        add_name(declared->name);
    return names;
}

}  // namespace tenon::formats
