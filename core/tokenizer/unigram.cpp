#include "core/tokenizer/unigram.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/tokenizer/charsmap.h"
#include "core/tokenizer/text_trie.h"
#include "core/tokenizer/utf8.h"

namespace tenon::tokenizer {
namespace {

// How much worse than the worst token a character is that no token covers. SentencePiece's figure.
constexpr float kUnknownPenalty = 10.0f;

// Normalised text is at most this many bytes. A place of the window takes 16 more, and a vocabulary can be
// made whose window never ends.
constexpr size_t kNormalisedBytesMax = 64u << 20;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Unigram final : public Algorithm {
    explicit Unigram(const AlgorithmInput& input)
        : tokens(&input.tokens),
          unknown(input.unknown),
          space_before(input.add_space_prefix),
          merges_spaces(input.vocabulary.remove_extra_whitespaces) {}

    Result<std::unique_ptr<AlgorithmSession>> begin() const override;

    const TokenList* tokens;  // not owned
    TextTrie trie;            // tokens that text may become
    TextTrie user_defined;    // what they begin with is not normalised
    Charsmap charsmap;
    double unknown_score = 0;
    int32_t unknown;
    bool space_before;   // a space mark in front of the first word
    bool merges_spaces;  // runs of spaces become one, those at the ends none
};

class UnigramSession final : public AlgorithmSession {
public:
    explicit UnigramSession(const Unigram& model) : model_(&model) {}

    Status append(std::string_view text, std::vector<int32_t>& out) override;

private:
    // The best way to reach a place of the window.
    struct Best {
        double score;
        uint32_t from;  // where its last token begins, counted from the window's start
        int32_t id;
    };

    Status normalise(std::string_view text);
    void offer(size_t place, const Best& way);
    void extend(size_t at, size_t window);
    void take(std::vector<int32_t>& out);

    const Unigram* model_;    // not owned
    std::string text_;        // normalised
    std::vector<Best> best_;  // of the window: the places that the text read so far can reach
    std::vector<int32_t> path_;
    bool last_unknown_ = false;
};

// Bytes at `at` that some user-defined token begins with.
size_t protected_bytes(const TextTrie& trie, std::string_view text, size_t at) noexcept {
    uint32_t node = TextTrie::kRoot;
    size_t length = 0;
    for (; at + length < text.size(); ++length) {
        node = trie.child(node, text[at + length]);
        if (node == TextTrie::kNone) break;
    }
    return length;
}

Status UnigramSession::normalise(std::string_view text) {
    text_.clear();
    bool space_written = false;
    bool in_word = false;
    for (size_t at = 0; at < text.size();) {
        std::string_view piece;
        if (const size_t kept = protected_bytes(model_->user_defined, text, at); kept > 0) {
            piece = text.substr(at, kept);
            at += kept;
        } else if (const Charsmap::Match match = model_->charsmap.find(text, at);
                   match.length > 0) {
            piece = match.replacement;
            at += match.length;
        } else {
            // Unlike decode_leniently this lets values over 0x10FFFF pass.
            const size_t length = length_by_lead(text[at]);
            const auto lead = static_cast<uint8_t>(text[at]);
            bool whole = (lead < 0x80 || lead >= 0xC0) && lead < 0xF8 && at + length <= text.size();
            for (size_t i = 1; whole && i < length; ++i)
                whole = (static_cast<uint8_t>(text[at + i]) & 0xC0) == 0x80;
            piece = whole ? text.substr(at, length) : kReplacement;
            at += whole ? length : 1;
        }
        for (const char byte : piece) {
            if (byte == ' ') {
                in_word = false;
                if (!model_->merges_spaces) text_ += kSpaceMark;
                continue;
            }
            if (!in_word) {
                in_word = true;
                if ((model_->space_before && !space_written) || model_->merges_spaces) {
                    text_ += kSpaceMark;
                    space_written = true;
                }
            }
            text_ += byte;
        }
        if (text_.size() > kNormalisedBytesMax) {
            return Error{Code::kInvalid,
                         fmt::format("the text has more than {} bytes when normalised, "
                                     "the limit",
                                     kNormalisedBytesMax)};
        }
    }
    return {};
}

void UnigramSession::offer(size_t place, const Best& way) {
    if (place >= best_.size())
        best_.resize(place + 1, {std::numeric_limits<double>::lowest(), 0, -1});
    if (way.score > best_[place].score) best_[place] = way;
}

// Offers every token that begins at `at`, a place of the text; the window begins at `window`.
void UnigramSession::extend(size_t at, size_t window) {
    const auto from = static_cast<uint32_t>(at - window);
    const double score = best_[from].score;
    const size_t character = std::min(length_by_lead(text_[at]), text_.size() - at);
    bool covered = false;
    uint32_t node = TextTrie::kRoot;
    for (size_t end = at; end < text_.size();) {
        node = model_->trie.child(node, text_[end++]);
        if (node == TextTrie::kNone) break;
        const int32_t id = model_->trie.id(node);
        if (id < 0) continue;
        covered = covered || end - at == character;
        const bool user_defined = model_->tokens->type(id) == TokenType::kUserDefined;
        const double gain = user_defined ? 0.0 : static_cast<double>(model_->tokens->score(id));
        offer(end - window, {score + gain, from, id});
    }
    if (!covered) {
        offer(from + character, {score + model_->unknown_score, from, model_->unknown});
    }
}

// Writes the ids of the best way to the window's end and makes that end the next window's start.
void UnigramSession::take(std::vector<int32_t>& out) {
    path_.clear();
    for (size_t place = best_.size() - 1; place > 0; place = best_[place].from)
        path_.push_back(best_[place].id);
    for (auto id = path_.rbegin(); id != path_.rend(); ++id) {
        const bool is_unknown = *id == model_->unknown;
        if (!(is_unknown && last_unknown_)) out.push_back(*id);
        last_unknown_ = is_unknown;
    }
    best_.front() = best_.back();
    best_.resize(1);
}

Status UnigramSession::append(std::string_view text, std::vector<int32_t>& out) {
    TENON_CHECK(normalise(text));
    last_unknown_ = false;
    best_.assign(1, {0.0, 0, -1});
    size_t window = 0;
    for (size_t at = 0; at < text_.size();) {
        extend(at, window);
        at += std::min(length_by_lead(text_[at]), text_.size() - at);
        // No token reaches over this place: what comes before it is settled.
        if (at - window + 1 == best_.size()) {
            take(out);
            window = at;
        }
    }
    return {};
}

Result<std::unique_ptr<AlgorithmSession>> Unigram::begin() const {
    return std::unique_ptr<AlgorithmSession>(std::make_unique<UnigramSession>(*this));
}

}  // namespace

Result<std::unique_ptr<Algorithm>> make_unigram(const AlgorithmInput& input) {
    if (input.unknown < 0) {
        return Error{Code::kInvalid,
                     "the vocabulary names no unknown token, which a unigram tokenizer "
                     "needs"};
    }
    auto model = std::make_unique<Unigram>(input);
    TENON_TRY(model->charsmap, Charsmap::parse(input.vocabulary.charsmap));
    std::vector<TextTrie::Text> all, user_defined;
    float worst = std::numeric_limits<float>::max();
    for (int32_t id = 0; id < input.tokens.size(); ++id) {
        const TokenType type = input.tokens.type(id);
        if (type == TokenType::kNormal) worst = std::min(worst, input.tokens.score(id));
        const std::string_view text = input.tokens.table.text(id);
        if (text.empty()) continue;
        if (type == TokenType::kUserDefined) user_defined.push_back({text, id});
        if (type == TokenType::kNormal || type == TokenType::kUserDefined ||
            type == TokenType::kUnused)
            all.push_back({text, id});
    }
    model->unknown_score = static_cast<double>(worst - kUnknownPenalty);
    TENON_TRY(model->trie, TextTrie::build(std::move(all)));
    TENON_TRY(model->user_defined, TextTrie::build(std::move(user_defined)));
    return std::unique_ptr<Algorithm>(std::move(model));
}

}  // namespace tenon::tokenizer
