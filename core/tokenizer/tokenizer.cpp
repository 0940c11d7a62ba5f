#include "core/tokenizer/tokenizer.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/tokenizer/byte_alphabet.h"
#include "core/tokenizer/utf8.h"

namespace tenon::tokenizer {

// What one call of encode works with; nothing of it outlives the call.
struct Tokenizer::Session {
    Splitter splitter;
    WordMerger merger;
    std::vector<size_t> ends;
    std::vector<int32_t> ids;
    std::string spelled;
};

Result<Tokenizer> Tokenizer::create(const Vocabulary& vocabulary, const TokenizerOptions& options) {
    if (vocabulary.model != "gpt2") {
        return Error{Code::kUnsupported,
                     fmt::format("the tokenizer is of model '{}'; only 'gpt2' (byte-level BPE) is known",
                                 vocabulary.model.substr(0, 64))};
    }
    TENON_TRY(Pretokenizer rules, Pretokenizer::create(vocabulary.pre, options.use_jit));
    Tokenizer tokenizer(std::move(rules));
    TENON_CHECK(tokenizer.take_tokens(vocabulary));
    TENON_CHECK(tokenizer.take_types(vocabulary));
    TENON_CHECK(tokenizer.take_pieces());
    TENON_CHECK(tokenizer.take_merges(vocabulary));
    TENON_CHECK(tokenizer.take_special_ids(vocabulary));
    TENON_CHECK(tokenizer.take_special_tokens());
    return tokenizer;
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
    const size_t limit = std::min(options.input_bytes_max, kInputBytesMax);
    if (text.size() > limit) {
        return Error{Code::kInvalid,
                     fmt::format("the text to tokenize has {} bytes; the limit is {}", text.size(), limit)};
    }
    const auto scope = options.parse_special ? SpecialScope::kAll : SpecialScope::kUserDefined;
    std::vector<SpecialMatch> matches;
    special_.find(text, 0, text.size(), scope, matches);
    return encode_between(text, matches, options);
}

Result<std::vector<int32_t>> Tokenizer::encode_segments(std::span<const Segment> segments,
                                                        const EncodeOptions& options) const {
    const size_t limit = std::min(options.input_bytes_max, kInputBytesMax);
    size_t total = 0;
    for (const Segment& segment : segments) {
        if (segment.text.size() > limit - total) {
            return Error{Code::kInvalid, fmt::format("the segments to tokenize have more than {} bytes, "
                                                     "the limit",
                                                     limit)};
        }
        total += segment.text.size();
    }
    std::string text;
    text.reserve(total);
    std::vector<SpecialMatch> matches;
    for (size_t i = 0; i < segments.size();) {
        const size_t begin = text.size();
        const bool is_template = segments[i].is_template_text;
        for (; i < segments.size() && segments[i].is_template_text == is_template; ++i) {
            text.append(segments[i].text);
        }
        const auto scope = is_template ? SpecialScope::kAll : SpecialScope::kWhitespace;
        special_.find(text, begin, text.size(), scope, matches);
    }
    return encode_between(text, matches, options);
}

// `matches` by position, none overlapping.
Result<std::vector<int32_t>> Tokenizer::encode_between(std::string_view text,
                                                       const std::vector<SpecialMatch>& matches,
                                                       const EncodeOptions& options) const {
    TENON_TRY(Splitter splitter, Splitter::create(rules_));
    Session session{std::move(splitter), WordMerger(merges_), {}, {}, {}};
    std::vector<int32_t> out;
    out.reserve(text.size() / 4 + 4);
    if (options.add_special && add_bos_) out.push_back(*bos_);
    size_t at = 0;
    for (const SpecialMatch& match : matches) {
        TENON_CHECK(encode_plain(text.substr(at, match.begin - at), session, out));
        out.push_back(match.id);
        at = match.end;
    }
    TENON_CHECK(encode_plain(text.substr(at), session, out));
    if (options.add_special && add_eos_) out.push_back(*eos_);
    return out;
}

Status Tokenizer::encode_plain(std::string_view text, Session& session, std::vector<int32_t>& out) const {
    if (text.empty()) return {};
    CleanText clean;
    std::string_view subject = text;
    if (!is_utf8(text)) {
        clean = clean_text(text);
        text = clean.bytes;
        subject = clean.subject;
    }
    session.ends.clear();
    TENON_CHECK(session.splitter.split(subject, session.ends));
    size_t begin = 0;
    for (size_t end : session.ends) {
        const std::string_view word = text.substr(begin, end - begin);
        begin = end;
        if (rules_.ignores_merges() && word.size() <= word_bytes_max_) {
            session.spelled.clear();
            for (char byte : word) append_spelling(static_cast<uint8_t>(byte), session.spelled);
            const int32_t id = table_.find(session.spelled);
            if (id >= 0 && !is_special(id)) {
                out.push_back(id);
                continue;
            }
        }
        session.ids.clear();
        for (char byte : word) session.ids.push_back(byte_ids_[static_cast<uint8_t>(byte)]);
        session.merger.merge(session.ids, out);
    }
    return {};
}

Result<std::string> Tokenizer::decode(std::span<const int32_t> ids, const DecodeOptions& options) const {
    std::string bytes;
    for (size_t i = 0; i < ids.size(); ++i) {
        if (!contains(ids[i])) {
            return Error{Code::kInvalid, fmt::format("token id {} at place {} of {} to decode is outside "
                                                     "the vocabulary of {} tokens",
                                                     ids[i], i, ids.size(), size())};
        }
        if (options.skip_special && is_special(ids[i])) continue;
        bytes.append(token_bytes(ids[i]));
    }
    if (!options.repair || is_utf8(bytes)) return bytes;
    std::string text;
    Utf8Stream stream;
    stream.append(bytes, text);
    stream.flush(text);
    return text;
}

std::string_view Tokenizer::token_text(int32_t id) const noexcept {
    return contains(id) ? table_.text(id) : std::string_view{};
}

std::string_view Tokenizer::token_bytes(int32_t id) const noexcept {
    if (!contains(id)) return {};
    const auto i = static_cast<size_t>(id);
    const uint32_t begin = i == 0 ? 0 : piece_ends_[i - 1];
    return std::string_view(pieces_).substr(begin, piece_ends_[i] - begin);
}

std::optional<int32_t> Tokenizer::find_token(std::string_view text) const noexcept {
    const int32_t id = table_.find(text);
    return id >= 0 ? std::optional(id) : std::nullopt;
}

bool Tokenizer::is_eog(int32_t id) const noexcept {
    return std::binary_search(eog_.begin(), eog_.end(), id);
}

bool Tokenizer::is_special(int32_t id) const noexcept {
    if (!contains(id)) return false;
    const TokenType type = types_[static_cast<size_t>(id)];
    return type == TokenType::kControl || type == TokenType::kUnknown;
}

} // namespace tenon::tokenizer
