// A regular expression of PCRE2 with a limit on the work of a search.
#pragma once

#include "core/base/result.h"

#include <memory>
#include <string>
#include <string_view>

namespace tenon::cli {

class Pattern {
public:
    // UTF-8; kInvalid says what is wrong and at which byte.
    static Result<Pattern> compile(const std::string& expression);
    // Whether it is found anywhere in `text`. kInvalid: the search took more than its limit.
    Result<bool> finds(std::string_view text) const;

private:
    explicit Pattern(std::shared_ptr<void> code) : code_(std::move(code)) {}
    std::shared_ptr<void> code_;
};

}  // namespace tenon::cli
