// Status: how plugin code reports failure, and the edge where it becomes a tenon_error.
//
// C++17, public ABI only. Nothing here needs memory: an error of 240 bytes travels by value.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include <tenon/abi.h>

namespace tenon::sdk {

// Success, or a code of tenon_status with one sentence: what was seen, what was wanted, where.
class [[nodiscard]] Status {
public:
    Status() noexcept { message_[0] = '\0'; }
    Status(tenon_status code, const char* text) noexcept : code_(code) {
        std::snprintf(message_, sizeof message_, "%s", text);
    }

    bool ok() const noexcept { return code_ == TENON_OK; }
    explicit operator bool() const noexcept { return ok(); }
    int32_t code() const noexcept { return code_; }
    uint32_t node() const noexcept { return node_; }
    const char* message() const noexcept { return message_; }

    // Names the node of the program that the error is about.
    Status&& at_node(uint32_t node) && noexcept {
        node_ = node;
        return std::move(*this);
    }

    // Fills the caller's error as far as its size reaches; err may be null.
    int32_t report(tenon_error* err) const noexcept {
        if (ok() || err == nullptr) return code_;
        if (err->size <= offsetof(tenon_error, msg)) return code_;
        err->code = code_;
        err->node = node_;
        err->flags = 0;
        size_t room = err->size - offsetof(tenon_error, msg);
        if (room > sizeof err->msg) room = sizeof err->msg;
        std::snprintf(err->msg, room, "%s", message_);
        return code_;
    }

private:
    friend Status fail(tenon_status code, const char* format, ...) noexcept;
    int32_t code_ = TENON_OK;
    uint32_t node_ = TENON_NONE;
    char message_[TENON_ERROR_TEXT];
};

// A failure with a printf sentence, cut to TENON_ERROR_TEXT.
__attribute__((format(printf, 2, 3))) inline Status fail(tenon_status code, const char* format,
                                                         ...) noexcept {
    Status status;
    status.code_ = code;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(status.message_, sizeof status.message_, format, arguments);
    va_end(arguments);
    return status;
}
inline Status fail(tenon_status code, const std::string& text) noexcept {
    return Status(code, text.c_str());
}

// Runs `body`, which returns a Status, and turns its failure, or whatever it throws, into a code and
// a filled err. Nothing passes it: bad_alloc is OOM_HOST, every other exception INTERNAL.
template <class Body>
int32_t at_boundary(tenon_error* err, Body&& body) noexcept {
    try {
        return Status(body()).report(err);
    } catch (const std::bad_alloc&) {
        return Status(TENON_OOM_HOST, "Host memory is out.").report(err);
    } catch (const std::exception& error) {
        return fail(TENON_INTERNAL, "The plugin threw an exception: %s", error.what()).report(err);
    } catch (...) {
        return Status(TENON_INTERNAL, "The plugin threw something that is no std::exception.")
            .report(err);
    }
}

}  // namespace tenon::sdk

// Returns a failed Status to the caller.
#define TENON_SDK_CHECK(expr)                                  \
    do {                                                       \
        ::tenon::sdk::Status tenon_sdk_status_ = (expr);       \
        if (!tenon_sdk_status_.ok()) return tenon_sdk_status_; \
    } while (false)
