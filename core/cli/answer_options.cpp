#include "core/cli/answer_options.h"

#include "core/config/nearest.h"

#include <fmt/format.h>

#include <charconv>

namespace tenon::cli {

namespace {

template <class Number>
Status read_number(Number& field, std::string_view text) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) {
        constexpr bool kIsWhole = std::is_integral_v<Number>;
        return Error{Code::kInvalid,
                     fmt::format("expected a {}number, got '{}'", kIsWhole ? "whole " : "", text)};
    }
    field = number;
    return {};
}

Status read(std::vector<std::string>& field, std::string_view text) {
    field.clear();
    if (!text.empty()) field.emplace_back(text);
    return {};
}
template <class Number>
Status read(Number& field, std::string_view text) {
    return read_number(field, text);
}

std::string text_of(const std::vector<std::string>& field) {
    return fmt::format("{}", fmt::join(field, " "));
}
template <class Number>
std::string text_of(const Number& field) {
    return fmt::format("{}", field);
}

}  // namespace

void declare(Arguments& arguments, AnswerOptions& options) {
    visit_answer(options, [&](const char*, auto& field, const char* flags, const char* text) {
        if (flags != nullptr) arguments.option(flags, field, text);
    });
}

std::vector<AnswerSetting> list_answer_options(const AnswerOptions& options) {
    std::vector<AnswerSetting> list;
    visit_answer(options, [&](const char* name, auto& field, const char*, const char* text) {
        list.push_back({name, text_of(field), text});
    });
    return list;
}

Status set_answer_option(AnswerOptions& options, std::string_view name, std::string_view text) {
    AnswerOptions changed = options;
    std::vector<std::string> known;
    bool is_known = false;
    Status status;
    visit_answer(changed, [&](const char* own, auto& field, const char*, const char*) {
        known.emplace_back(own);
        if (name != own) return;
        is_known = true;
        status = read(field, text);
    });
    if (!is_known) {
        const std::string close = config::nearest(name, known);
        return Error{
            Code::kInvalid,
            close.empty()
                ? fmt::format("'{}' is not an option; known are: {}", name, fmt::join(known, ", "))
                : fmt::format("'{}' is not an option; did you mean '{}'?", name, close)};
    }
    if (!status.ok()) return std::move(status).error().within(std::string(name));
    TENON_CHECK(sampling::validate(changed.sampling));
    options = std::move(changed);
    return {};
}

}  // namespace tenon::cli
