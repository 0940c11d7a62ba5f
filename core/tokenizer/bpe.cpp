#include "core/tokenizer/bpe.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/tokenizer/byte_alphabet.h"
#include "core/tokenizer/merges.h"
#include "core/tokenizer/pretokenizer.h"
#include "core/tokenizer/utf8.h"

namespace tenon::tokenizer {
namespace {

Error refuse(std::string message) { return {Code::kInvalid, std::move(message)}; }

class Bpe final : public Algorithm {
public:
    Bpe(const TokenList& tokens, Pretokenizer rules) : tokens_(&tokens), rules_(std::move(rules)) {
        std::string spelled;
        for (int byte = 0; byte < 256; ++byte) {
            spelled.clear();
            append_spelling(static_cast<uint8_t>(byte), spelled);
            byte_ids_[byte] = find_plain(spelled);
        }
        for (int32_t id = 0; id < tokens.size(); ++id)
            word_bytes_max_ = std::max(word_bytes_max_, tokens.table.text(id).size());
    }

    Status take_merges(const Vocabulary& vocabulary);
    Result<std::unique_ptr<AlgorithmSession>> begin() const override;
    bool uses_jit() const noexcept override { return rules_.uses_jit(); }

    // -1: no token that plain text may become is spelled so.
    int32_t find_plain(std::string_view spelled) const noexcept {
        const int32_t id = tokens_->table.find(spelled);
        return id >= 0 && !tokens_->is_special(id) ? id : -1;
    }
    const Pretokenizer& rules() const noexcept { return rules_; }
    const MergeTable& merges() const noexcept { return merges_; }
    size_t word_bytes_max() const noexcept { return word_bytes_max_; }
    int32_t byte_id(char byte) const noexcept { return byte_ids_[static_cast<uint8_t>(byte)]; }

private:
    const TokenList* tokens_;  // not owned
    Pretokenizer rules_;
    MergeTable merges_;
    size_t word_bytes_max_ = 0;   // no token stands for more bytes
    int32_t byte_ids_[256] = {};  // -1: the vocabulary lacks the byte
};

class BpeSession final : public AlgorithmSession {
public:
    BpeSession(const Bpe& bpe, Splitter splitter)
        : bpe_(&bpe), splitter_(std::move(splitter)), merger_(bpe.merges()) {}

    Status append(std::string_view text, std::vector<int32_t>& out) override;

private:
    const Bpe* bpe_;  // not owned
    Splitter splitter_;
    WordMerger merger_;
    std::vector<size_t> ends_;
    std::vector<int32_t> ids_;
    std::string spelled_;
};

Status Bpe::take_merges(const Vocabulary& vocabulary) {
    const TokenTable& table = tokens_->table;
    const size_t count = vocabulary.merges.size();
    if (count > kMergesMax) {
        return refuse(
            fmt::format("the vocabulary has {} merges; the limit is {}", count, kMergesMax));
    }
    merges_.reserve(count);
    std::string joined;
    for (size_t i = 0; i < count; ++i) {
        const std::string_view merge = vocabulary.merges[i];
        const size_t space = merge.find(' ', 1);
        if (space == std::string_view::npos) {
            return refuse(
                fmt::format("merge {} is '{}'; a merge is two tokens with a space between", i,
                            merge.substr(0, 64)));
        }
        joined.assign(merge.substr(0, space));
        joined.append(merge.substr(space + 1));
        const Merge entry = {table.find(merge.substr(0, space)),
                             table.find(merge.substr(space + 1)), table.find(joined),
                             static_cast<int32_t>(i)};
        if (entry.left < 0 || entry.right < 0 || entry.merged < 0) {
            const char* which = entry.left < 0 ? "left" : entry.right < 0 ? "right" : "joined";
            return refuse(
                fmt::format("merge {} is '{}', but its {} text is no token of the vocabulary", i,
                            merge.substr(0, 64), which));
        }
        // Plain text must never turn into a control token, not even by a file's own merges.
        if (tokens_->is_special(entry.merged)) continue;
        if (!merges_.insert(entry)) {
            return refuse(
                fmt::format("merge {} is one of very many made to collide in the merge table", i));
        }
    }
    return {};
}

Result<std::unique_ptr<AlgorithmSession>> Bpe::begin() const {
    TENON_TRY(Splitter splitter, Splitter::create(rules_));
    return std::unique_ptr<AlgorithmSession>(
        std::make_unique<BpeSession>(*this, std::move(splitter)));
}

Status BpeSession::append(std::string_view text, std::vector<int32_t>& out) {
    CleanText clean;
    std::string_view subject = text;
    if (!is_utf8(text)) {
        clean = clean_text(text);
        text = clean.bytes;
        subject = clean.subject;
    }
    ends_.clear();
    TENON_CHECK(splitter_.split(subject, ends_));
    size_t begin = 0;
    for (size_t end : ends_) {
        const std::string_view word = text.substr(begin, end - begin);
        begin = end;
        if (bpe_->rules().ignores_merges() && word.size() <= bpe_->word_bytes_max()) {
            spelled_.clear();
            for (char byte : word)
                append_spelling(static_cast<uint8_t>(byte), spelled_);
            const int32_t id = bpe_->find_plain(spelled_);
            if (id >= 0) {
                out.push_back(id);
                continue;
            }
        }
        ids_.clear();
        for (char byte : word)
            ids_.push_back(bpe_->byte_id(byte));
        merger_.merge(ids_, out);
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Algorithm>> make_bpe(const AlgorithmInput& input) {
    TENON_TRY(Pretokenizer rules, Pretokenizer::create(input.vocabulary.pre, input.use_jit));
    auto bpe = std::make_unique<Bpe>(input.tokens, std::move(rules));
    TENON_CHECK(bpe->take_merges(input.vocabulary));
    return std::unique_ptr<Algorithm>(std::move(bpe));
}

}  // namespace tenon::tokenizer
