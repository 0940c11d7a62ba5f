// What became of one attempt to fetch something, and whether another one is worth it.
#pragma once

#include "core/base/result.h"
#include "core/hub/fetch.h"

#include <chrono>
#include <string>

namespace tenon::hub {

struct Outcome {
    enum class Kind { kOk, kRetry, kFatal, kChanged };
    Kind kind = Kind::kOk;
    Error error;
    std::chrono::milliseconds after{0};  // kRetry: the server asked for this pause
    bool is_absent = false;              // nobody answered at all

    static Outcome fatal(Error error) { return {Kind::kFatal, std::move(error), {}, false}; }
    static Outcome retry(Error error, std::chrono::milliseconds after = {}) {
        return {Kind::kRetry, std::move(error), after, false};
    }
    // The file is not the one that was begun with.
    static Outcome changed() {
        return {
            Kind::kChanged, {Code::kData, "the file changed on the server meanwhile"}, {}, false};
    }
    bool ok() const { return kind == Kind::kOk; }
};

// Of a failure of connection or disk.
Outcome judge(const Error& error);
// Of a refusal by status, which `explained` says. A server that asks to come back later than in
// `after_max` is given up.
Outcome judge(const FetchAnswer& answer, Error explained, std::chrono::milliseconds after_max);

// The refusal of a server as a sentence: "HOST answered 404 (Not Found) when asked for WHAT".
Error explain_status(const FetchAnswer& answer, const std::string& what);

}  // namespace tenon::hub
