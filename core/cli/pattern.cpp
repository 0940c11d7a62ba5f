#include "core/cli/pattern.h"

#include <fmt/format.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace tenon::cli {

namespace {

constexpr uint32_t kMatchLimit = 1'000'000;

std::string words_of(int error) {
    char text[160] = {};
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof text);
    return text;
}

}  // namespace

Result<Pattern> Pattern::compile(const std::string& expression) {
    int error = 0;
    PCRE2_SIZE at = 0;
    pcre2_code* code =
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                      PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr);
    if (code == nullptr) {
        return Error{Code::kInvalid,
                     fmt::format("regex: {} at byte {} of '{}'", words_of(error), at, expression)};
    }
    return Pattern(std::shared_ptr<void>(
        code, [](void* raw) { pcre2_code_free(static_cast<pcre2_code*>(raw)); }));
}

Result<bool> Pattern::finds(std::string_view text) const {
    const auto* code = static_cast<const pcre2_code*>(code_.get());
    const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> found(
        pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free);
    const std::unique_ptr<pcre2_match_context, void (*)(pcre2_match_context*)> limits(
        pcre2_match_context_create(nullptr), pcre2_match_context_free);
    if (!found || !limits) return Error{Code::kOomHost, "regex: out of memory"};
    pcre2_set_match_limit(limits.get(), kMatchLimit);
    const int count = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                                  0, found.get(), limits.get());
    if (count >= 0) return true;
    if (count == PCRE2_ERROR_NOMATCH) return false;
    return Error{Code::kInvalid, "regex: " + words_of(count)};
}

}  // namespace tenon::cli
