// Texts by their bytes, one at a time: which texts begin where a longer one is being read.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace tenon::tokenizer {

// Immutable after build: any thread may read. Twelve bytes per node.
class TextTrie {
public:
    struct Text {
        std::string_view text;  // not empty
        int32_t id = -1;
    };

    // No two texts equal. Refuses texts longer than kTrieTextBytesMax, or so many that they make
    // more than kTrieNodesMax nodes.
    static Result<TextTrie> build(std::vector<Text> texts);

    static constexpr uint32_t kRoot = 0;
    static constexpr uint32_t kNone = 0;  // no node has the root as a child

    // The node one byte further, or kNone.
    uint32_t child(uint32_t node, char byte) const noexcept;
    // The text that ends at `node`; -1: none does.
    int32_t id(uint32_t node) const noexcept { return nodes_[node].id; }

private:
    struct Node {
        uint32_t first_child = 0;  // children stand together, by byte
        int32_t id = -1;
        uint16_t children = 0;
        uint8_t byte = 0;
    };
    std::vector<Node> nodes_ = {Node{}};
};

inline constexpr size_t kTrieTextBytesMax =
    1'024;  // bounds the work per byte of a text that is read
inline constexpr size_t kTrieNodesMax = 32u << 20;

}  // namespace tenon::tokenizer
