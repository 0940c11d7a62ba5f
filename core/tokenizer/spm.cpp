#include "core/tokenizer/spm.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/tokenizer/merges.h"
#include "core/tokenizer/utf8.h"

namespace tenon::tokenizer {
namespace {

// A text that may stand on a side of a merge: a token, or a character that is none by itself but
// begins tokens.
struct Part {
    std::string_view text;
    int32_t id;
    int32_t prefix = -1;  // the longest other part this one starts with, as an index; -1: none
    int32_t suffix = -1;  // the same of its end
};

// The length of the character at `at`, by its first byte alone: what follows is not looked at.
size_t step(std::string_view text, size_t at) noexcept {
    return std::min(length_by_lead(text[at]), text.size() - at);
}

class Spm final : public Algorithm {
public:
    explicit Spm(const AlgorithmInput& input)
        : tokens_(&input.tokens), unknown_(input.unknown), prefix_(input.add_space_prefix) {}

    Status prepare();
    Result<std::unique_ptr<AlgorithmSession>> begin() const override;

    // A token, a lone character (size() and more), or -1.
    int32_t find(std::string_view character) const noexcept;
    void append_bytes_of(std::string_view character, std::vector<int32_t>& out) const;
    void append_merged(std::span<const int32_t> ids, std::vector<int32_t>& out) const;

    const MergeTable& merges() const noexcept { return merges_; }
    // No token has these two characters side by side: nothing ever merges across.
    bool apart(int32_t left, int32_t right) const noexcept {
        return neighbours_.find(left, right) == nullptr;
    }
    bool prefix() const noexcept { return prefix_; }

private:
    // Tokens that text may become. Byte tokens are not spelled by their own "<0x41>".
    bool is_plain(int32_t id) const noexcept {
        return !tokens_->is_special(id) && tokens_->type(id) != TokenType::kByte;
    }
    void collect_lone();
    Status collect_neighbours();
    Status collect_merges();
    std::vector<Part> linked_parts() const;
    std::vector<int32_t> ranks() const;

    const TokenList* tokens_;  // not owned
    int32_t unknown_;
    bool prefix_;
    int32_t byte_ids_[256] = {};          // -1: the vocabulary lacks the byte
    std::vector<std::string_view> lone_;  // sorted; views into the token table
    MergeTable merges_;
    MergeTable neighbours_;
};

class SpmSession final : public AlgorithmSession {
public:
    explicit SpmSession(const Spm& spm) : spm_(&spm), merger_(spm.merges()) {}

    Status append(std::string_view text, std::vector<int32_t>& out) override;

private:
    void end_run(std::vector<int32_t>& out);

    const Spm* spm_;  // not owned
    WordMerger merger_;
    std::string escaped_;
    std::vector<int32_t> run_, merged_;
};

Status Spm::prepare() {
    for (int byte = 0; byte < 256; ++byte) {
        int32_t id = tokens_->table.find(fmt::format("<0x{:02X}>", byte));
        if (id < 0) {
            const char letter = static_cast<char>(byte);
            id = tokens_->table.find({&letter, 1});
        }
        byte_ids_[byte] = id >= 0 && !tokens_->is_special(id) ? id : -1;
    }
    collect_lone();
    TENON_CHECK(collect_neighbours());
    return collect_merges();
}

int32_t Spm::find(std::string_view character) const noexcept {
    const int32_t id = tokens_->table.find(character);
    if (id >= 0 && is_plain(id)) return id;
    const auto at = std::lower_bound(lone_.begin(), lone_.end(), character);
    if (at == lone_.end() || *at != character) return -1;
    return tokens_->size() + static_cast<int32_t>(at - lone_.begin());
}

void Spm::collect_lone() {
    for (int32_t id = 0; id < tokens_->size(); ++id) {
        if (!is_plain(id)) continue;
        const std::string_view text = tokens_->table.text(id);
        for (size_t at = 0; at < text.size(); at += step(text, at)) {
            const std::string_view character = text.substr(at, step(text, at));
            const int32_t known = tokens_->table.find(character);
            if (known < 0 || !is_plain(known)) lone_.push_back(character);
        }
    }
    std::sort(lone_.begin(), lone_.end());
    lone_.erase(std::unique(lone_.begin(), lone_.end()), lone_.end());
    lone_.shrink_to_fit();
}

Status Spm::collect_neighbours() {
    std::vector<std::pair<int32_t, int32_t>> pairs;
    const auto compact = [&pairs] {
        std::sort(pairs.begin(), pairs.end());
        pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
    };
    size_t compact_at = 1u << 20;
    for (int32_t id = 0; id < tokens_->size(); ++id) {
        if (!is_plain(id)) continue;
        const std::string_view text = tokens_->table.text(id);
        int32_t before = -1;
        for (size_t at = 0; at < text.size(); at += step(text, at)) {
            const int32_t here = find(text.substr(at, step(text, at)));
            if (at > 0) pairs.emplace_back(before, here);
            before = here;
        }
        if (pairs.size() < compact_at) continue;
        compact();
        compact_at = std::max<size_t>(1u << 20, pairs.size() * 2);
    }
    compact();
    if (pairs.size() > kMergesMax) {
        return Error{Code::kInvalid,
                     fmt::format("the tokens hold {} different pairs of characters; "
                                 "the limit is {}",
                                 pairs.size(), kMergesMax)};
    }
    neighbours_.reserve(pairs.size());
    for (const auto& [left, right] : pairs) {
        if (!neighbours_.insert({left, right, 0, 0})) {
            return Error{Code::kInvalid,
                         "the tokens are made to collide in the table of characters"};
        }
    }
    return {};
}

// All parts, sorted by text, each with the parts it starts and ends with.
std::vector<Part> Spm::linked_parts() const {
    std::vector<Part> parts;
    for (int32_t id = 0; id < tokens_->size(); ++id) {
        const std::string_view text = tokens_->table.text(id);
        if (!text.empty() && is_plain(id)) parts.push_back({text, id});
    }
    for (size_t i = 0; i < lone_.size(); ++i)
        parts.push_back({lone_[i], tokens_->size() + static_cast<int32_t>(i)});
    std::sort(parts.begin(), parts.end(),
              [](const Part& a, const Part& b) { return a.text < b.text; });

    // In sorted order what a text starts with comes before it, with only longer texts of that start
    // between.
    std::vector<int32_t> open, order(parts.size());
    for (size_t i = 0; i < parts.size(); ++i) {
        order[i] = static_cast<int32_t>(i);
        while (!open.empty() &&
               !parts[i].text.starts_with(parts[static_cast<size_t>(open.back())].text))
            open.pop_back();
        if (!open.empty()) parts[i].prefix = open.back();
        open.push_back(order[i]);
    }
    const auto text_of = [&](int32_t i) { return parts[static_cast<size_t>(i)].text; };
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
        const std::string_view x = text_of(a), y = text_of(b);
        return std::lexicographical_compare(x.rbegin(), x.rend(), y.rbegin(), y.rend());
    });
    open.clear();
    for (const int32_t i : order) {
        while (!open.empty() && !text_of(i).ends_with(text_of(open.back())))
            open.pop_back();
        if (!open.empty()) parts[static_cast<size_t>(i)].suffix = open.back();
        open.push_back(i);
    }
    return parts;
}

// Per token the place of its score among all different scores, the best first.
std::vector<int32_t> Spm::ranks() const {
    std::vector<float> scores = tokens_->scores;
    if (scores.empty()) scores.push_back(0.0f);
    std::sort(scores.begin(), scores.end(), std::greater<>());
    scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
    std::vector<int32_t> ranks(static_cast<size_t>(tokens_->size()));
    for (int32_t id = 0; id < tokens_->size(); ++id) {
        const auto at =
            std::lower_bound(scores.begin(), scores.end(), tokens_->score(id), std::greater<>());
        ranks[static_cast<size_t>(id)] = static_cast<int32_t>(at - scores.begin());
    }
    return ranks;
}

Status Spm::collect_merges() {
    const std::vector<Part> parts = linked_parts();
    const std::vector<int32_t> rank = ranks();
    std::vector<Merge> merges;
    std::vector<int32_t> suffixes;  // of one token, the shortest last
    for (const Part& part : parts) {
        if (part.id >= tokens_->size()) continue;
        suffixes.clear();
        for (int32_t at = part.suffix; at >= 0; at = parts[static_cast<size_t>(at)].suffix)
            suffixes.push_back(at);
        // Ever shorter starts against ever longer ends.
        for (int32_t at = part.prefix; at >= 0; at = parts[static_cast<size_t>(at)].prefix) {
            const Part& left = parts[static_cast<size_t>(at)];
            const size_t rest = part.text.size() - left.text.size();
            while (!suffixes.empty() &&
                   parts[static_cast<size_t>(suffixes.back())].text.size() < rest)
                suffixes.pop_back();
            if (suffixes.empty()) break;
            const Part& right = parts[static_cast<size_t>(suffixes.back())];
            if (right.text.size() != rest) continue;
            merges.push_back({left.id, right.id, part.id, rank[static_cast<size_t>(part.id)]});
        }
        if (merges.size() > kMergesMax) {
            return Error{Code::kInvalid,
                         fmt::format("the tokens can be put together in more than {} "
                                     "ways, the limit",
                                     kMergesMax)};
        }
    }
    merges_.reserve(merges.size());
    for (const Merge& merge : merges) {
        if (!merges_.insert(merge)) {
            return Error{Code::kInvalid, "the tokens are made to collide in the merge table"};
        }
    }
    return {};
}

void Spm::append_bytes_of(std::string_view character, std::vector<int32_t>& out) const {
    bool missing = false;
    for (const char byte : character) {
        const int32_t id = byte_ids_[static_cast<uint8_t>(byte)];
        if (id >= 0) {
            out.push_back(id);
        } else if (!missing && unknown_ >= 0) {
            out.push_back(unknown_);
            missing = true;
        }
    }
}

void Spm::append_merged(std::span<const int32_t> ids, std::vector<int32_t>& out) const {
    for (const int32_t id : ids) {
        if (id < tokens_->size()) {
            out.push_back(id);
        } else {
            append_bytes_of(lone_[static_cast<size_t>(id - tokens_->size())], out);
        }
    }
}

Result<std::unique_ptr<AlgorithmSession>> Spm::begin() const {
    return std::unique_ptr<AlgorithmSession>(std::make_unique<SpmSession>(*this));
}

void SpmSession::end_run(std::vector<int32_t>& out) {
    merged_.clear();
    merger_.merge(run_, merged_);
    spm_->append_merged(merged_, out);
    run_.clear();
}

Status SpmSession::append(std::string_view text, std::vector<int32_t>& out) {
    escaped_.clear();
    if (spm_->prefix()) escaped_ += kSpaceMark;
    for (const char byte : text) {
        if (byte == ' ') {
            escaped_ += kSpaceMark;
        } else {
            escaped_ += byte;
        }
    }
    const std::string_view all = escaped_;
    for (size_t at = 0; at < all.size();) {
        const std::string_view character = all.substr(at, step(all, at));
        at += character.size();
        const int32_t id = spm_->find(character);
        if (id < 0) {
            end_run(out);
            spm_->append_bytes_of(character, out);
            continue;
        }
        if (!run_.empty() && spm_->apart(run_.back(), id)) end_run(out);
        run_.push_back(id);
    }
    end_run(out);
    return {};
}

}  // namespace

Result<std::unique_ptr<Algorithm>> make_spm(const AlgorithmInput& input) {
    auto spm = std::make_unique<Spm>(input);
    TENON_CHECK(spm->prepare());
    return std::unique_ptr<Algorithm>(std::move(spm));
}

}  // namespace tenon::tokenizer
