// JSON from a server that nobody vouches for, as a tree within limits.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::hub {

struct JsonLimits {
    size_t bytes = 64u << 20;
    uint32_t depth = 32;
    uint32_t nodes = 1'000'000;
};

struct JsonNode {
    enum class Kind : uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

    Kind kind = Kind::kNull;
    bool truth = false;
    std::string text;               // of a string, in UTF-8; of a number, as it stands there
    std::vector<JsonNode> items;    // of an array, or the values of an object
    std::vector<std::string> keys;  // of an object, one for each item

    // The member of this name, the first of several; null when there is none or this is no object.
    const JsonNode* find(std::string_view key) const noexcept;
    // The text of the string member `key`; empty when there is none.
    std::string_view text_of(std::string_view key) const noexcept;
    // The member `key` when it is a whole number from 0 to 2^63 - 1.
    std::optional<uint64_t> whole_of(std::string_view key) const noexcept;
};

// kData says at which byte what was wrong.
Result<JsonNode> read_json(std::string_view text, const JsonLimits& limits = {});

}  // namespace tenon::hub
