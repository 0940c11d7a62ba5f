#include "core/tokenizer/tokenizer.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/tokenizer/utf8.h"

namespace tenon::tokenizer {

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                               const EncodeOptions& options) const {
    const size_t limit = std::min(options.input_bytes_max, kInputBytesMax);
    if (text.size() > limit) {
        return Error{
            Code::kInvalid,
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
            return Error{Code::kInvalid,
                         fmt::format("the segments to tokenize have more than {} bytes, "
                                     "the limit",
                                     limit)};
        }
        total += segment.text.size();
    }
    std::string text;
    text.reserve(total);
    std::vector<SpecialMatch> matches;
    for (size_t i = 0; i < segments.size();) {
        size_t begin = text.size();
        const bool is_template = segments[i].is_template_text;
        for (; i < segments.size() && segments[i].is_template_text == is_template; ++i) {
            text.append(segments[i].text);
        }
        // A token at the border takes white space along on the other side, too.
        if (!matches.empty() && matches.back().end == begin && matches.back().strips_right) {
            while (begin < text.size() && is_stripped(text[begin]))
                ++begin;
            matches.back().end = begin;
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
    TENON_TRY(const std::unique_ptr<AlgorithmSession> session, algorithm_->begin());
    std::vector<int32_t> out;
    out.reserve(text.size() / 4 + 4);
    if (options.add_special && add_bos_) out.push_back(*bos_);
    size_t at = 0;
    for (const SpecialMatch& match : matches) {
        if (match.begin > at) {
            TENON_CHECK(session->append(text.substr(at, match.begin - at), out));
        }
        out.push_back(match.id);
        at = match.end;
    }
    if (at < text.size()) TENON_CHECK(session->append(text.substr(at), out));
    if (options.add_special && add_eos_) out.push_back(*last_);
    return out;
}

Result<std::string> Tokenizer::decode(std::span<const int32_t> ids,
                                      const DecodeOptions& options) const {
    std::string bytes;
    bool first = strips_first_space_ && !options.continues;
    for (size_t i = 0; i < ids.size(); ++i) {
        if (!contains(ids[i])) {
            return Error{Code::kInvalid,
                         fmt::format("token id {} at place {} of {} to decode is outside "
                                     "the vocabulary of {} tokens",
                                     ids[i], i, ids.size(), size())};
        }
        if (options.skip_special && is_special(ids[i])) continue;
        std::string_view piece = token_bytes(ids[i]);
        if (first && !is_special(ids[i])) {
            if (piece.starts_with(' ')) piece.remove_prefix(1);
            first = false;
        }
        bytes.append(piece);
    }
    if (!options.repair || is_utf8(bytes)) return bytes;
    std::string text;
    Utf8Stream stream;
    stream.append(bytes, text);
    stream.flush(text);
    return text;
}

std::string_view Tokenizer::token_text(int32_t id) const noexcept {
    return contains(id) ? tokens_->table.text(id) : std::string_view{};
}

std::string_view Tokenizer::token_bytes(int32_t id) const noexcept {
    if (!contains(id)) return {};
    const auto i = static_cast<size_t>(id);
    const uint32_t begin = i == 0 ? 0 : piece_ends_[i - 1];
    return std::string_view(pieces_).substr(begin, piece_ends_[i] - begin);
}

std::optional<int32_t> Tokenizer::find_token(std::string_view text) const noexcept {
    const int32_t id = tokens_->table.find(text);
    return id >= 0 ? std::optional(id) : std::nullopt;
}

bool Tokenizer::is_eog(int32_t id) const noexcept {
    return std::binary_search(eog_.begin(), eog_.end(), id);
}

bool Tokenizer::is_special(int32_t id) const noexcept {
    return contains(id) && tokens_->is_special(id);
}

}  // namespace tenon::tokenizer
