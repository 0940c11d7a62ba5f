#include "core/tokenizer/special_tokens.h"

#include <algorithm>
#include <numeric>

namespace tenon::tokenizer {
namespace {

bool is_whitespace_only(std::string_view text) {
    return text.find_first_not_of(" \t\n\r\v\f") == std::string_view::npos;
}

}  // namespace

bool is_stripped(char byte) noexcept { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

SpecialTokens SpecialTokens::build(std::vector<Token> tokens) {
    // Among texts of one length the order shows only where two of them overlap; it is that of
    // std::sort over ids, not stable, as in llama.cpp.
    std::vector<size_t> turns(tokens.size());
    std::iota(turns.begin(), turns.end(), size_t{0});
    std::sort(turns.begin(), turns.end(),
              [&](size_t a, size_t b) { return tokens[a].text.size() > tokens[b].text.size(); });
    SpecialTokens special;
    special.tokens_.reserve(tokens.size());
    for (size_t turn = 0; turn < turns.size(); ++turn) {
        Token& token = tokens[turns[turn]];
        special.starts_[static_cast<uint8_t>(token.text.front())] = true;
        const bool whitespace = is_whitespace_only(token.text);
        special.tokens_.push_back({std::move(token), static_cast<int32_t>(turn), whitespace});
    }
    std::sort(special.tokens_.begin(), special.tokens_.end(),
              [](const Entry& a, const Entry& b) { return a.token.text < b.token.text; });
    return special;
}

bool SpecialTokens::allowed(const Entry& entry, SpecialScope scope) noexcept {
    if (scope == SpecialScope::kAll) return true;
    return entry.token.user_defined && (scope == SpecialScope::kUserDefined || entry.whitespace);
}

const SpecialTokens::Entry* SpecialTokens::entry_of(std::string_view text) const noexcept {
    const auto it =
        std::lower_bound(tokens_.begin(), tokens_.end(), text,
                         [](const Entry& e, std::string_view t) { return e.token.text < t; });
    return it != tokens_.end() && it->token.text == text ? &*it : nullptr;
}

void SpecialTokens::find(std::string_view text, size_t begin, size_t end, SpecialScope scope,
                         std::vector<SpecialMatch>& out) const {
    // First pass: where any token occurs, and which lengths occur. The sorted texts serve as a trie:
    // [low, high) are those that share the bytes read so far.
    std::vector<size_t> places;
    std::vector<size_t> lengths;  // distinct
    for (size_t at = begin; at < end; ++at) {
        if (!starts_[static_cast<uint8_t>(text[at])]) continue;
        auto low = tokens_.begin();
        auto high = tokens_.end();
        bool found = false;
        for (size_t depth = 0; at + depth < end && low != high; ++depth) {
            const auto byte = static_cast<uint8_t>(text[at + depth]);
            // Of the texts in the range only the first may be just `depth` bytes long.
            const auto key = [depth](const Entry& e) {
                return e.token.text.size() == depth
                           ? -1
                           : int{static_cast<uint8_t>(e.token.text[depth])};
            };
            low = std::partition_point(low, high, [&](const Entry& e) { return key(e) < byte; });
            high = std::partition_point(low, high, [&](const Entry& e) { return key(e) <= byte; });
            if (low != high && low->token.text.size() == depth + 1 && allowed(*low, scope)) {
                found = true;
                if (std::find(lengths.begin(), lengths.end(), depth + 1) == lengths.end()) {
                    lengths.push_back(depth + 1);
                }
            }
        }
        if (found) places.push_back(at);
    }
    if (places.empty()) return;

    // One pass per length, longest first. A taken piece is at least as long as the one looked at, so
    // it overlaps only if it covers the first or the last byte.
    std::sort(lengths.begin(), lengths.end(), std::greater<>());
    std::vector<bool> taken(end - begin);
    const size_t first_match = out.size();
    struct Offer {
        int32_t turn;
        size_t at;
        const Entry* entry;
    };
    std::vector<Offer> offers;
    for (size_t length : lengths) {
        offers.clear();
        for (size_t at : places) {
            if (at + length > end || taken[at - begin] || taken[at + length - 1 - begin]) continue;
            const Entry* entry = entry_of(text.substr(at, length));
            if (entry != nullptr && allowed(*entry, scope))
                offers.push_back({entry->turn, at, entry});
        }
        std::stable_sort(offers.begin(), offers.end(),
                         [](const Offer& a, const Offer& b) { return a.turn < b.turn; });
        for (const Offer& offer : offers) {
            const size_t last = offer.at + length - 1;
            if (taken[offer.at - begin] || taken[last - begin]) continue;
            const Token& token = offer.entry->token;
            size_t from = offer.at;
            size_t to = last + 1;
            const auto strippable = [&](size_t i) {
                return !taken[i - begin] && is_stripped(text[i]);
            };
            while (token.strips_left && from > begin && strippable(from - 1))
                --from;
            while (token.strips_right && to < end && strippable(to))
                ++to;
            for (size_t i = from; i < to; ++i)
                taken[i - begin] = true;
            out.push_back({from, to, token.id, token.strips_right});
        }
    }
    std::sort(out.begin() + static_cast<ptrdiff_t>(first_match), out.end(),
              [](const SpecialMatch& a, const SpecialMatch& b) { return a.begin < b.begin; });
}

}  // namespace tenon::tokenizer
