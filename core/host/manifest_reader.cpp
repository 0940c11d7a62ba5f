#include "core/host/manifest_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/bytes.h"

namespace tenon::host {
namespace {

// Every character of `text` must belong to the number.
template <class T>
bool parse(std::string_view text, T* value) {
    const char* const end = text.data() + text.size();
    const auto [rest, fault] = std::from_chars(text.data(), end, *value);
    return fault == std::errc() && rest == end;
}

}  // namespace

std::string ManifestReader::place(const YAML::Node& node) const {
    const YAML::Mark mark = node.IsDefined() ? node.Mark() : YAML::Mark::null_mark();
    return mark.is_null() ? where_ : fmt::format("{}:{}", where_, mark.line + 1);
}

Error ManifestReader::error(const YAML::Node& node, const std::string& sentence) const {
    return Error{Code::kInvalid, fmt::format("{}: {}.", place(node), sentence)};
}

Status ManifestReader::check_keys(const YAML::Node& map, const char* what,
                                  std::initializer_list<std::string_view> known) const {
    std::vector<std::string> seen;
    for (const auto& entry : map) {
        if (!entry.first.IsScalar()) return error(entry.first, "a key is no plain word");
        const std::string& key = entry.first.Scalar();
        if (std::find(known.begin(), known.end(), key) == known.end()) {
            return error(entry.first, fmt::format("unknown key '{}' in {}; known are {}",
                                                  printable(key), what, fmt::join(known, ", ")));
        }
        if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
            return error(entry.first, fmt::format("key '{}' is given twice", key));
        }
        seen.push_back(key);
    }
    return {};
}

Result<std::string> ManifestReader::text(const YAML::Node& map, const char* key,
                                         size_t bytes_max) const {
    const YAML::Node node = map[key];
    if (!node.IsDefined()) return error(map, fmt::format("key '{}' is missing", key));
    if (!node.IsScalar() || node.Scalar().empty() || node.Scalar().size() > bytes_max) {
        return error(node, fmt::format("'{}' is no text of 1 to {} bytes", key, bytes_max));
    }
    return node.Scalar();
}

Result<int64_t> ManifestReader::integer(const YAML::Node& map, const char* key, int64_t least,
                                        int64_t most) const {
    const YAML::Node node = map[key];
    if (!node.IsDefined()) return error(map, fmt::format("key '{}' is missing", key));
    int64_t value = 0;
    if (!node.IsScalar() || !parse(node.Scalar(), &value) || value < least || value > most) {
        return error(node, fmt::format("{} is '{}', wanted a whole number from {} to {}", key,
                                       node.IsScalar() ? printable(node.Scalar()) : "a collection",
                                       least, most));
    }
    return value;
}

Result<int64_t> ManifestReader::integer_or(const YAML::Node& map, const char* key, int64_t least,
                                           int64_t most, int64_t fallback) const {
    if (!map[key].IsDefined()) return fallback;
    return integer(map, key, least, most);
}

Result<bool> ManifestReader::flag_or(const YAML::Node& map, const char* key, bool fallback) const {
    const YAML::Node node = map[key];
    if (!node.IsDefined()) return fallback;
    if (node.IsScalar() && node.Scalar() == "true") return true;
    if (node.IsScalar() && node.Scalar() == "false") return false;
    return error(node, fmt::format("{} is neither true nor false", key));
}

Result<std::vector<std::string>> ManifestReader::texts(const YAML::Node& map,
                                                       const char* key) const {
    std::vector<std::string> list;
    const YAML::Node node = map[key];
    if (!node.IsDefined()) return list;
    if (!node.IsSequence()) return error(node, fmt::format("'{}' is no list", key));
    for (const YAML::Node& item : node) {
        if (!item.IsScalar() || item.Scalar().empty() || item.Scalar().size() > 64) {
            return error(item, fmt::format("an entry of '{}' is no word of 1 to 64 bytes", key));
        }
        list.push_back(item.Scalar());
    }
    return list;
}

Result<std::vector<float>> ManifestReader::floats(const YAML::Node& map, const char* key,
                                                  size_t count) const {
    const YAML::Node node = map[key];
    if (!node.IsDefined()) return error(map, fmt::format("key '{}' is missing", key));
    if (!node.IsSequence() || node.size() != count) {
        return error(node, fmt::format("'{}' has {}, wanted {} numbers", key,
                                       node.IsSequence() ? fmt::format("{} entries", node.size())
                                                         : "no list",
                                       count));
    }
    std::vector<float> list;
    for (const YAML::Node& item : node) {
        float value = 0;
        if (!item.IsScalar() || !parse(item.Scalar(), &value) || !std::isfinite(value)) {
            return error(item,
                         fmt::format("an entry of '{}' is '{}', wanted a finite number", key,
                                     item.IsScalar() ? printable(item.Scalar()) : "a collection"));
        }
        list.push_back(value);
    }
    return list;
}

}  // namespace tenon::host
