#include "core/tokenizer/pretokenizer.h"

#include <limits>
#include <string>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include "core/tokenizer/split_rules.h"

namespace tenon::tokenizer {
namespace {

std::string message_of(int code) {
    PCRE2_UCHAR text[128];
    const int length = pcre2_get_error_message(code, text, sizeof text);
    if (length < 0) return fmt::format("error {}", code);
    return {reinterpret_cast<const char*>(text), static_cast<size_t>(length)};
}

}  // namespace

void Pretokenizer::FreeCode::operator()(pcre2_real_code_8* code) const noexcept {
    pcre2_code_free(code);
}
void Splitter::FreeData::operator()(pcre2_real_match_data_8* data) const noexcept {
    pcre2_match_data_free(data);
}
void Splitter::FreeContext::operator()(pcre2_real_match_context_8* context) const noexcept {
    pcre2_match_context_free(context);
}

Result<Pretokenizer> Pretokenizer::create(std::string_view pre, bool use_jit) {
    const SplitRules* rules = find_split_rules(pre);
    if (rules == nullptr) {
        return Error{Code::kUnsupported, fmt::format("the tokenizer splits text by the rules '{}'; "
                                                     "known rules are {}",
                                                     pre.substr(0, 64), split_rule_names())};
    }
    Pretokenizer result;
    result.ignores_merges_ = rules->ignores_merges;
    result.adds_bos_ = rules->adds_bos;
    result.uses_jit_ = use_jit;
    for (const char* pattern : rules->stages) {
        if (pattern == nullptr) break;
        int code = 0;
        PCRE2_SIZE offset = 0;
        result.stages_.emplace_back(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern),
                                                  PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                                  &code, &offset, nullptr));
        if (result.stages_.back() == nullptr) {
            return Error{Code::kInternal,
                         fmt::format("PCRE2 does not compile the split rules '{}': {} at {}", pre,
                                     message_of(code), offset)};
        }
        if (result.uses_jit_ &&
            pcre2_jit_compile(result.stages_.back().get(), PCRE2_JIT_COMPLETE) != 0) {
            result.uses_jit_ = false;
        }
    }
    return result;
}

Result<Splitter> Splitter::create(const Pretokenizer& rules) {
    Splitter splitter;
    splitter.rules_ = &rules;
    splitter.data_.reset(pcre2_match_data_create(1, nullptr));
    splitter.context_.reset(pcre2_match_context_create(nullptr));
    if (splitter.data_ == nullptr || splitter.context_ == nullptr) {
        return Error{Code::kOomHost, "no memory for the match data of the split rules"};
    }
    // The rules backtrack at most once over what they matched: no limit is needed for time, and the
    // default one would refuse a run of ten million spaces.
    pcre2_set_match_limit(splitter.context_.get(), std::numeric_limits<uint32_t>::max());
    return splitter;
}

int Splitter::match(size_t stage, std::string_view text, size_t from) {
    const pcre2_code* code = rules_->stages_[stage].get();
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    if (rules_->uses_jit_) {
        const int found =
            pcre2_jit_match(code, subject, text.size(), from, 0, data_.get(), context_.get());
        if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
    }
    return pcre2_match(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                       data_.get(), context_.get());
}

Status Splitter::split(std::string_view text, std::vector<size_t>& ends) {
    return split_stage(text, 0, 0, ends);
}

Status Splitter::split_stage(std::string_view text, size_t offset, size_t stage,
                             std::vector<size_t>& ends) {
    if (text.empty()) return {};
    if (stage == rules_->stages_.size()) {
        ends.push_back(offset + text.size());
        return {};
    }
    for (size_t at = 0; at < text.size();) {
        const int found = match(stage, text, at);
        size_t begin = text.size();
        size_t end = text.size();
        if (found > 0) {
            const PCRE2_SIZE* span = pcre2_get_ovector_pointer(data_.get());
            begin = span[0];
            end = span[1];
        } else if (found != PCRE2_ERROR_NOMATCH) {
            return Error{Code::kInternal,
                         fmt::format("PCRE2 stops splitting text at byte {} of {}: {}", at,
                                     text.size(), message_of(found))};
        }
        TENON_CHECK(split_stage(text.substr(at, begin - at), offset + at, stage + 1, ends));
        TENON_CHECK(split_stage(text.substr(begin, end - begin), offset + begin, stage + 1, ends));
        if (found > 0 && end <= at) {
            return Error{Code::kInternal,
                         fmt::format("a split rule matches nothing at byte {} of a text", at)};
        }
        at = end;
    }
    return {};
}

}  // namespace tenon::tokenizer
