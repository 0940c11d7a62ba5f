#include "core/tokenizer/text_trie.h"

#include <algorithm>

#include <fmt/format.h>

namespace tenon::tokenizer {

Result<TextTrie> TextTrie::build(std::vector<Text> texts) {
    for (const Text& text : texts) {
        if (text.text.size() > kTrieTextBytesMax) {
            return Error{Code::kInvalid,
                         fmt::format("token {} has {} bytes; the limit of this kind of "
                                     "tokenizer is {}",
                                     text.id, text.text.size(), kTrieTextBytesMax)};
        }
    }
    std::sort(texts.begin(), texts.end(),
              [](const Text& a, const Text& b) { return a.text < b.text; });

    // Breadth first, so that the children of a node are made one after the other. `spans` says for
    // each node which texts go through it.
    struct Span {
        uint32_t begin, end, depth;
    };
    TextTrie trie;
    std::vector<Span> spans = {{0, static_cast<uint32_t>(texts.size()), 0}};
    for (size_t node = 0; node < spans.size(); ++node) {
        auto [at, end, depth] = spans[node];
        if (at < end && texts[at].text.size() == depth) trie.nodes_[node].id = texts[at++].id;
        trie.nodes_[node].first_child = static_cast<uint32_t>(spans.size());
        while (at < end) {
            const char byte = texts[at].text[depth];
            uint32_t next = at;
            while (next < end && texts[next].text[depth] == byte)
                ++next;
            if (spans.size() >= kTrieNodesMax) {
                return Error{Code::kInvalid,
                             fmt::format("the tokens differ so much that they need more "
                                         "than {} nodes, the limit",
                                         kTrieNodesMax)};
            }
            spans.push_back({at, next, depth + 1});
            trie.nodes_.push_back({0, -1, 0, static_cast<uint8_t>(byte)});
            ++trie.nodes_[node].children;
            at = next;
        }
    }
    return trie;
}

uint32_t TextTrie::child(uint32_t node, char byte) const noexcept {
    const Node& parent = nodes_[node];
    const auto wanted = static_cast<uint8_t>(byte);
    const auto first = nodes_.begin() + parent.first_child;
    const auto last = first + parent.children;
    const auto at =
        std::lower_bound(first, last, wanted, [](const Node& n, uint8_t b) { return n.byte < b; });
    return at != last && at->byte == wanted ? static_cast<uint32_t>(at - nodes_.begin()) : kNone;
}

}  // namespace tenon::tokenizer
