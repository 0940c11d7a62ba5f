#include "core/tokenizer/wordpiece.h"

#include <string>
#include <utility>

#include "core/tokenizer/text_trie.h"
#include "core/tokenizer/unicode_tables.h"
#include "core/tokenizer/utf8.h"

namespace tenon::tokenizer {
namespace {

// Ideographs stand for words of their own. The ranges are those of the tokenizers that made the
// published vocabularies, which begin one of them at U+2B920 where U+2B820 is meant.
bool is_ideograph(uint32_t point) noexcept {
    return (point >= 0x4E00 && point <= 0x9FFF) || (point >= 0x3400 && point <= 0x4DBF) ||
           (point >= 0x20000 && point <= 0x2A6DF) || (point >= 0x2A700 && point <= 0x2B81F) ||
           (point >= 0x2B920 && point <= 0x2CEAF) || (point >= 0xF900 && point <= 0xFAFF) ||
           (point >= 0x2F800 && point <= 0x2FA1F);
}

// + < = > ^ | ~ $ and the grave accent: symbols to Unicode, punctuation to these vocabularies.
bool is_ascii_symbol(uint32_t point) noexcept {
    return point < 0x7F &&
           std::string_view("$+<=>^`|~").find(static_cast<char>(point)) != std::string_view::npos;
}

struct WordPiece final : public Algorithm {
    explicit WordPiece(const AlgorithmInput& input)
        : unknown(input.unknown),
          lowers(input.vocabulary.lowers_case),
          strips_accents(input.vocabulary.strips_accents.value_or(lowers)) {}

    Result<std::unique_ptr<AlgorithmSession>> begin() const override;

    TextTrie trie;  // tokens that text may become
    int32_t unknown;
    bool lowers;
    bool strips_accents;
};

class WordPieceSession final : public AlgorithmSession {
public:
    explicit WordPieceSession(const WordPiece& model) : model_(&model) {}

    Status append(std::string_view text, std::vector<int32_t>& out) override;

private:
    void end_word(std::vector<int32_t>& out);

    const WordPiece* model_;  // not owned
    CleanText clean_;
    std::string word_;  // empty, or begun by the space mark
};

Result<std::unique_ptr<AlgorithmSession>> WordPiece::begin() const {
    return std::unique_ptr<AlgorithmSession>(std::make_unique<WordPieceSession>(*this));
}

void WordPieceSession::end_word(std::vector<int32_t>& out) {
    if (word_.empty()) return;
    const size_t before = out.size();
    for (size_t at = 0; at < word_.size();) {
        int32_t longest = -1;
        size_t end = at;
        uint32_t node = TextTrie::kRoot;
        for (size_t i = at; i < word_.size(); ++i) {
            node = model_->trie.child(node, word_[i]);
            if (node == TextTrie::kNone) break;
            if (const int32_t id = model_->trie.id(node); id >= 0) {
                longest = id;
                end = i + 1;
            }
        }
        if (longest < 0) {
            out.resize(before);
            out.push_back(model_->unknown);
            break;
        }
        out.push_back(longest);
        at = end;
    }
    word_.clear();
}

Status WordPieceSession::append(std::string_view text, std::vector<int32_t>& out) {
    if (!is_utf8(text)) {
        clean_ = clean_text(text);
        text = clean_.bytes;
    }
    const auto add = [this](uint32_t point) {
        if (word_.empty()) word_ = kSpaceMark;
        append_code_point(model_->lowers ? lower_of(point) : point, word_);
    };
    for (size_t at = 0; at < text.size();) {
        const CodePoint decoded = decode_leniently(text, at);
        at += decoded.length;
        const uint32_t point = model_->strips_accents ? base_of(decoded.value) : decoded.value;
        if (is_white_space(point)) {
            end_word(out);
            continue;
        }
        if (point == 0xFFFD || is_control(point) || (model_->strips_accents && is_mark(point)))
            continue;
        const bool alone = is_punctuation(point) || is_ascii_symbol(point) || is_ideograph(point);
        if (alone) end_word(out);
        add(point);
        if (alone) end_word(out);
    }
    end_word(out);
    return {};
}

}  // namespace

Result<std::unique_ptr<Algorithm>> make_wordpiece(const AlgorithmInput& input) {
    if (input.unknown < 0) {
        return Error{Code::kInvalid,
                     "the vocabulary names no unknown token, which a WordPiece "
                     "tokenizer needs"};
    }
    auto model = std::make_unique<WordPiece>(input);
    std::vector<TextTrie::Text> texts;
    for (int32_t id = 0; id < input.tokens.size(); ++id) {
        const std::string_view text = input.tokens.table.text(id);
        if (!text.empty() && !input.tokens.is_special(id)) texts.push_back({text, id});
    }
    TENON_TRY(model->trie, TextTrie::build(std::move(texts)));
    return std::unique_ptr<Algorithm>(std::move(model));
}

}  // namespace tenon::tokenizer
