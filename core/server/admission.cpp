#include "core/server/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <mutex>
#include <random>
#include <unordered_map>

namespace tenon::server {

namespace {

constexpr size_t kAddressesMax = 16'384;
constexpr auto kMemoryInterval = std::chrono::milliseconds(250);
// Departures from which a drain rate is believed. Batches leave together: the window holds several,
// so that the rate right behind one is not that of one alone.
constexpr size_t kDeparturesMin = 8, kDeparturesKept = 256;
// Of the longest wait: an estimate is off by some, and who waits in vain is refused late.
constexpr double kWaitShare = 0.75;
constexpr int kRetryMin = 1, kRetryMax = 60;

ApiError refuse_caller(std::string code, std::string message) {
    return {429, "rate_limit_error", std::move(code), "", std::move(message), {}};
}

ApiError refuse_all(std::string code, std::string message) {
    return {503, "server_error", std::move(code), "", std::move(message), {}};
}

struct KeyRates {
    uint32_t requests_per_second, requests_burst, tokens_per_minute, streams;
    bool operator==(const KeyRates&) const = default;
};

// What a key may, holds and spends.
struct KeyState {
    KeyState(const KeyRates& given, Clock::time_point now)
        : rates(given),
          requests(given.requests_per_second, given.requests_burst, now),
          tokens(given.tokens_per_minute / 60.0, given.tokens_per_minute, now) {}
    KeyRates rates;
    TokenBucket requests, tokens;
    uint32_t in_flight = 0;
};

// The state behind the door, shared with the tickets.
struct Door {
    explicit Door(AdmissionOptions given)
        : options(std::move(given)),
          ip_requests(options.limits.ip_requests_per_minute / 60.0,
                      options.limits.ip_requests_per_minute, kAddressesMax),
          ip_tokens(options.limits.ip_tokens_per_minute / 60.0, options.limits.ip_tokens_per_minute,
                    kAddressesMax),
          random(options.seed != 0 ? options.seed : std::random_device{}()) {}

    Clock::time_point now() const { return options.now ? options.now() : Clock::now(); }

    KeyRates rates_of(const std::string& id, uint32_t number) const;
    // These want the mutex.
    KeyState& key_state(const std::string& id, uint32_t number, Clock::time_point when);
    double drain_per_second(Clock::time_point when) const;
    int retry_after(double seconds);
    double read_memory(Clock::time_point when);

    const AdmissionOptions options;
    std::mutex mutex;
    bool is_closed = false;
    uint32_t waiting = 0, in_flight = 0;
    uint64_t waiting_bytes = 0;
    std::unordered_map<std::string, KeyState> keys;  // by key id; as many as there are keys
    BucketMap ip_requests, ip_tokens;
    // Departures from the queue since it was last empty; the first is when it filled.
    std::deque<Clock::time_point> departures;
    Clock::time_point memory_read{};
    double memory = 0;
    std::mt19937_64 random;
};

KeyRates Door::rates_of(const std::string& id, uint32_t number) const {
    const config::Limits& limits = options.limits;
    const std::shared_ptr<const KeySet> set = options.keys ? options.keys() : nullptr;
    const ApiKey* key = set ? set->by_number(number) : nullptr;
    if (key == nullptr || key->caller.key_id != id) {
        return {limits.key_requests_per_second, limits.key_requests_burst,
                limits.key_tokens_per_minute, limits.key_streams};
    }
    const uint32_t rate = key->requests_per_second.value_or(limits.key_requests_per_second);
    return {rate, key->requests_burst.value_or(std::max(limits.key_requests_burst, rate)),
            key->tokens_per_minute.value_or(limits.key_tokens_per_minute),
            key->streams.value_or(limits.key_streams)};
}

KeyState& Door::key_state(const std::string& id, uint32_t number, Clock::time_point when) {
    const KeyRates rates = rates_of(id, number);
    KeyState& state = keys.try_emplace(id, rates, when).first->second;
    if (state.rates != rates) {
        // The file of keys was read again: new buckets, same requests in flight.
        const uint32_t in_flight_before = state.in_flight;
        state = KeyState(rates, when);
        state.in_flight = in_flight_before;
    }
    return state;
}

double Door::drain_per_second(Clock::time_point when) const {
    if (departures.size() <= kDeparturesMin) return 0;
    const double seconds = std::chrono::duration<double>(when - departures.front()).count();
    return seconds > 0 ? static_cast<double>(departures.size() - 1) / seconds : 0;
}

int Door::retry_after(double seconds) {
    // Callers that were refused together must not come back together.
    const double spread = std::uniform_real_distribution<double>(1.0, 1.5)(random);
    return static_cast<int>(
        std::clamp(std::ceil(seconds * spread), double{kRetryMin}, double{kRetryMax}));
}

double Door::read_memory(Clock::time_point when) {
    if (options.memory_percent && when - memory_read >= kMemoryInterval) {
        memory_read = when;
        memory = options.memory_percent();
    }
    return memory;
}

class DoorTicket : public Ticket {
public:
    DoorTicket(std::shared_ptr<Door> door, std::string key_id, uint32_t key_number,
               std::string address, uint64_t bytes)
        : door_(std::move(door)),
          key_id_(std::move(key_id)),
          key_number_(key_number),
          address_(std::move(address)),
          bytes_(bytes) {}

    ~DoorTicket() override {
        const std::lock_guard lock(door_->mutex);
        leave_queue(false);
        --door_->in_flight;
        if (!key_id_.empty()) --door_->key_state(key_id_, key_number_, door_->now()).in_flight;
    }

    void on_scheduled() override {
        const std::lock_guard lock(door_->mutex);
        leave_queue(true);
    }

    void charge_output(uint32_t tokens) override {
        const std::lock_guard lock(door_->mutex);
        const Clock::time_point now = door_->now();
        if (!key_id_.empty()) {
            door_->key_state(key_id_, key_number_, now).tokens.take(tokens, now);
        }
        if (!address_.empty()) door_->ip_tokens.at(address_, now).take(tokens, now);
    }

private:
    void leave_queue(bool was_scheduled) {
        if (!is_waiting_) return;
        is_waiting_ = false;
        --door_->waiting;
        door_->waiting_bytes -= bytes_;
        if (!was_scheduled) return;
        door_->departures.push_back(door_->now());
        if (door_->departures.size() > kDeparturesKept) door_->departures.pop_front();
    }

    const std::shared_ptr<Door> door_;
    const std::string key_id_;
    const uint32_t key_number_;
    const std::string address_;  // empty: no limits by address
    const uint64_t bytes_;
    bool is_waiting_ = true;  // under the door's mutex
};

class DoorKeeper : public Admission {
public:
    explicit DoorKeeper(AdmissionOptions options)
        : door_(std::make_shared<Door>(std::move(options))) {}

    std::unique_ptr<Ticket> admit(const RequestContext& request, uint32_t sequences,
                                  uint64_t prompt_tokens, ApiError& refusal) override {
        const char* reason = nullptr;
        std::unique_ptr<Ticket> ticket;
        {
            const std::lock_guard lock(door_->mutex);
            reason = find_reason(request, sequences, prompt_tokens, refusal);
            if (reason == nullptr) ticket = let_in(request, prompt_tokens);
        }
        if (reason != nullptr && door_->options.on_refusal) door_->options.on_refusal(reason);
        return ticket;
    }

    std::optional<ApiError> refuse_early(uint64_t body_bytes) override {
        ApiError refusal;
        const char* reason = nullptr;
        {
            const std::lock_guard lock(door_->mutex);
            reason = find_state(body_bytes, door_->now(), refusal);
        }
        if (reason == nullptr) return std::nullopt;
        if (door_->options.on_refusal) door_->options.on_refusal(reason);
        return refusal;
    }

    void close() override {
        const std::lock_guard lock(door_->mutex);
        door_->is_closed = true;
    }

    uint32_t waiting() const override {
        const std::lock_guard lock(door_->mutex);
        return door_->waiting;
    }

    uint32_t in_flight() const override {
        const std::lock_guard lock(door_->mutex);
        return door_->in_flight;
    }

private:
    std::string address_of(const RequestContext& request) const {
        const net::Address& client = request.request().client;
        const auto& is_proxy = door_->options.is_proxy;
        return is_proxy && is_proxy(client) ? net::Address() : client;
    }

    // Why not, with `refusal` filled in; null: come in.
    const char* find_reason(const RequestContext& request, uint32_t sequences,
                            uint64_t prompt_tokens, ApiError& refusal);
    // Those that do not depend on who asks.
    const char* find_state(uint64_t body_bytes, Clock::time_point now, ApiError& refusal);
    const char* find_rate(const RequestContext& request, uint64_t prompt_tokens,
                          Clock::time_point now, ApiError& refusal);
    std::unique_ptr<Ticket> let_in(const RequestContext& request, uint64_t prompt_tokens);

    const std::shared_ptr<Door> door_;
};

const char* DoorKeeper::find_reason(const RequestContext& request, uint32_t, uint64_t prompt_tokens,
                                    ApiError& refusal) {
    const Clock::time_point now = door_->now();
    // Who is over its own rate hears that, unless nobody is let in.
    if (!door_->is_closed) {
        if (const char* reason = find_rate(request, prompt_tokens, now, refusal)) return reason;
    }
    return find_state(request.request().body.size(), now, refusal);
}

const char* DoorKeeper::find_state(uint64_t body_bytes, Clock::time_point now, ApiError& refusal) {
    Door& door = *door_;
    const config::Limits& limits = door.options.limits;
    if (door.is_closed) {
        refusal = refuse_all("shutting_down", "The server is shutting down.");
        refusal.retry_after_s = door.retry_after(2);
        return "draining";
    }
    if (door.read_memory(now) >= limits.shed_refuse_percent) {
        refusal = refuse_all("overloaded", "The server's memory is nearly full; try again later.");
        refusal.retry_after_s = door.retry_after(5);
        return "memory";
    }
    const double drain = door.drain_per_second(now);
    const double wait_s = drain > 0 ? (door.waiting + 1) / drain : 1.0;
    const char* reason = nullptr;
    if (door.waiting >= limits.queue_requests) {
        refusal =
            refuse_all("queue_full", fmt::format("{} requests are waiting already.", door.waiting));
        reason = "queue_requests";
    } else if (door.waiting > 0 && door.waiting_bytes + body_bytes > limits.queue_bytes) {
        refusal = refuse_all("queue_full", "The requests that wait hold too many bytes already.");
        reason = "queue_bytes";
    } else if (drain > 0 && door.waiting > 0 && wait_s * 1000 > kWaitShare * limits.queue_wait_ms) {
        // It would wait in vain; better to say so now.
        refusal = refuse_all("queue_full",
                             fmt::format("The wait would be about {} s, the limit is {} s.",
                                         std::llround(wait_s), limits.queue_wait_ms / 1000));
        reason = "queue_wait";
    }
    if (reason != nullptr) refusal.retry_after_s = door.retry_after(wait_s);
    return reason;
}

const char* DoorKeeper::find_rate(const RequestContext& request, uint64_t prompt_tokens,
                                  Clock::time_point now, ApiError& refusal) {
    Door& door = *door_;
    const auto tokens = static_cast<double>(prompt_tokens);
    const auto refuse = [&](const char* reason, const char* code, std::string message,
                            double wait_s) {
        refusal = refuse_caller(code, std::move(message));
        refusal.retry_after_s = door.retry_after(wait_s);
        return reason;
    };
    if (const std::string& id = request.caller.key_id; !id.empty()) {
        KeyState& key = door.key_state(id, request.caller.key_number, now);
        const uint32_t streams = key.rates.streams;
        if (key.in_flight >= streams) {
            return refuse("key_streams", "rate_limit_exceeded",
                          fmt::format("This key has {} requests in flight, its limit.", streams),
                          1);
        }
        if (const double wait = key.requests.wait_s(1, now); wait > 0) {
            return refuse("key_requests", "rate_limit_exceeded",
                          "This key sends more requests a second than it may.", wait);
        }
        if (const double wait = key.tokens.wait_s(tokens, now); wait > 0) {
            return refuse("key_tokens", "rate_limit_exceeded",
                          "This key uses more tokens a minute than it may.", wait);
        }
    }
    if (const std::string address = address_of(request); !address.empty()) {
        if (const double wait = door.ip_requests.at(address, now).wait_s(1, now); wait > 0) {
            return refuse("ip_requests", "rate_limit_exceeded",
                          "This address sends more requests a minute than it may.", wait);
        }
        if (const double wait = door.ip_tokens.at(address, now).wait_s(tokens, now); wait > 0) {
            return refuse("ip_tokens", "rate_limit_exceeded",
                          "This address uses more tokens a minute than it may.", wait);
        }
    }
    return nullptr;
}

std::unique_ptr<Ticket> DoorKeeper::let_in(const RequestContext& request, uint64_t prompt_tokens) {
    Door& door = *door_;
    const Clock::time_point now = door.now();
    const auto tokens = static_cast<double>(prompt_tokens);
    const Caller& caller = request.caller;
    if (!caller.key_id.empty()) {
        KeyState& key = door.key_state(caller.key_id, caller.key_number, now);
        key.requests.take(1, now);
        key.tokens.take(tokens, now);
        ++key.in_flight;
    }
    std::string address = address_of(request);
    if (!address.empty()) {
        door.ip_requests.at(address, now).take(1, now);
        door.ip_tokens.at(address, now).take(tokens, now);
    }
    if (door.waiting == 0) {
        // The rate counts while somebody waits: an idle server drains nothing and is not slow.
        door.departures.clear();
        door.departures.push_back(now);
    }
    const uint64_t bytes = request.request().body.size();
    ++door.waiting;
    ++door.in_flight;
    door.waiting_bytes += bytes;
    return std::make_unique<DoorTicket>(door_, caller.key_id, caller.key_number, std::move(address),
                                        bytes);
}

}  // namespace

std::unique_ptr<Admission> make_admission(AdmissionOptions options) {
    return std::make_unique<DoorKeeper>(std::move(options));
}

}  // namespace tenon::server
