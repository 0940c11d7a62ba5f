// Who may start now: queue, rates and budgets. Refuses at the door, so that what was let in ends.
#pragma once

#include "core/config/limits.h"
#include "core/server/api_error.h"
#include "core/server/route.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace tenon::server {

// Held while an admitted request is in flight; gives its shares back when destroyed.
class Ticket {
public:
    virtual ~Ticket() = default;
    // The first step took it: it waits no longer.
    virtual void on_scheduled() = 0;
    // Output beyond what was charged at the door, so that the next minute knows.
    virtual void charge_output(uint32_t tokens) = 0;
};

// Thread-safe.
class Admission {
public:
    virtual ~Admission() = default;
    // `sequences`: answers or prompts it fans out to; `prompt_tokens`: of all prompts. Null when
    // refused, with `refusal` filled in: 429 for what is the caller's own rate, 503 for the
    // server's queue; Retry-After from the measured drain rate.
    virtual std::unique_ptr<Ticket> admit(const RequestContext& request, uint32_t sequences,
                                          uint64_t prompt_tokens, ApiError& refusal) = 0;
    // No further requests: 503 to all of them.
    virtual void close() = 0;
    virtual uint32_t waiting() const = 0;
    virtual uint32_t in_flight() const = 0;
};

}  // namespace tenon::server
