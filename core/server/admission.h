// Who may start now: queue, rates and budgets. Refuses at the door, so that what was let in ends.
#pragma once

#include "core/config/limits.h"
#include "core/server/api_error.h"
#include "core/server/api_keys.h"
#include "core/server/route.h"
#include "core/server/token_bucket.h"

#include <cstdint>
#include <functional>
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
    // Before a body of `body_bytes` is read: the refusal that admit() would give whoever asks. Costs
    // next to nothing, and takes no place.
    virtual std::optional<ApiError> refuse_early(uint64_t body_bytes) {
        (void)body_bytes;
        return std::nullopt;
    }
    // No further requests: 503 to all of them.
    virtual void close() = 0;
    virtual uint32_t waiting() const = 0;
    virtual uint32_t in_flight() const = 0;
};

struct AdmissionOptions {
    config::Limits limits;
    // The rates of a key of its own; null: those of `limits` for everybody.
    std::function<std::shared_ptr<const KeySet>()> keys;
    // Whether limits by address do not apply to this one: a proxy of ours.
    std::function<bool(const net::Address&)> is_proxy;
    // Share of the host's memory in use, in percent; asked at most every 250 ms. Null: not watched.
    std::function<double()> memory_percent;
    // Told the reason of each refusal, one of a short list.
    std::function<void(const char* reason)> on_refusal;
    std::function<Clock::time_point()> now;  // null: the clock
    uint64_t seed = 0;                       // of the jitter; 0: a random one
};

// Everything it is given outlives it; tickets may outlive it.
std::unique_ptr<Admission> make_admission(AdmissionOptions options);

}  // namespace tenon::server
