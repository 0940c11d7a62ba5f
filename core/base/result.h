// Result<T> and Status: how every fallible function of Tenon reports failure.
//
// An Error carries a code that implies one action of the caller and one sentence that says what was
// seen, what was wanted and where. Nothing here throws by design; an ignored result is a warning
// (an error in CI). Thread-compatible values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace tenon {

// Same numbers as tenon_status of the plugin ABI (core/abi/abi.yaml); host/status.h asserts it.
enum class Code : int32_t {
    kOk = 0,
    kInvalid = 1,      // the caller or the file is wrong: fail this request or this load
    kUnsupported = 2,  // legal, but not by this implementation: try the next one
    kOomDevice = 3,    // device memory is out: preempt and retry
    kOomHost = 4,      // host memory is out
    kBusy = 5,         // try again later
    kTimeout = 6,      // a clock fired
    kCancelled = 7,    // the caller asked for it
    kDeviceLost = 8,   // recycle the worker, replay its requests
    kData = 9,         // bytes are corrupt: truncated file, digest mismatch, NaN
    kInternal = 10,    // a bug of the implementation
    kConfig = 11,      // host only: the configuration is wrong (exit code 78)
};

// An error as a value: code plus one sentence for the person who can act.
struct Error {
    Code code = Code::kInternal;
    std::string message;

    // Puts `context` in front of the message: "context: message".
    Error within(const std::string& context) && {
        message = context + ": " + message;
        return std::move(*this);
    }
};

// Either a T or an Error. value() is legal only when ok().
template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }
    T& value() & { return *std::get_if<0>(&state_); }
    const T& value() const& { return *std::get_if<0>(&state_); }
    T&& value() && { return std::move(*std::get_if<0>(&state_)); }
    T* operator->() { return std::get_if<0>(&state_); }
    const T* operator->() const { return std::get_if<0>(&state_); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    const Error& error() const& { return *std::get_if<1>(&state_); }
    Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

private:
    std::variant<T, Error> state_;
};

// Success, or an Error.
class [[nodiscard]] Status {
public:
    Status() = default;
    Status(Error error) : error_(std::move(error)) {}

    bool ok() const noexcept { return !error_.has_value(); }
    explicit operator bool() const noexcept { return ok(); }
    const Error& error() const& { return *error_; }
    Error&& error() && { return std::move(*error_); }

private:
    std::optional<Error> error_;
};

}  // namespace tenon

#define TENON_CONCAT_(a, b) a##b
#define TENON_CONCAT(a, b) TENON_CONCAT_(a, b)

// Returns the error of a Status or Result expression to the caller, if it has one.
#define TENON_CHECK(expr)                                                 \
    do {                                                                  \
        auto tenon_status_ = (expr);                                      \
        if (!tenon_status_.ok()) return std::move(tenon_status_).error(); \
    } while (false)

// TENON_TRY(Type name, expr): declares `name` from the value of a Result, or returns its error.
#define TENON_TRY_(tmp, decl, expr)               \
    auto tmp = (expr);                            \
    if (!tmp.ok()) return std::move(tmp).error(); \
    decl = std::move(tmp).value()
#define TENON_TRY(decl, ...) TENON_TRY_(TENON_CONCAT(tenon_result_, __LINE__), decl, (__VA_ARGS__))
