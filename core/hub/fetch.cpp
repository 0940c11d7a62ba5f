#include "core/hub/fetch.h"

#include "core/net/redirect.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace tenon::hub {

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kTick{20};
constexpr uint64_t kRefusedBodyMax = 64 << 10;  // of a redirect, read and thrown away

// What one request and its callbacks share; lives as long as either.
struct Flight {
    std::mutex mutex;
    std::condition_variable is_over;
    FetchAnswer answer;
    Status refusal;  // of the sink
    bool has_refused = false;
    bool is_final = false;  // its body is the sink's
    uint64_t dropped = 0;
    std::optional<Status> end;
    std::atomic<uint64_t> bytes{0};
    std::atomic<bool> wants_cancel{false};
};

class ClientFetcher : public Fetcher {
public:
    ClientFetcher(std::unique_ptr<net::Client> client, FetchOptions options, const uint32_t* cancel)
        : client_(std::move(client)), options_(std::move(options)), cancel_(cancel) {}

    Result<FetchAnswer> get(net::ClientRequest request, const FetchSink& sink) override {
        request.first_byte = options_.timeout;
        request.between = options_.timeout;
        std::optional<net::Headers> first_headers;
        for (int hop = 0; hop <= kRedirectsMax; ++hop) {
            if (is_stopped()) return stopped();
            TENON_TRY(FetchAnswer answer, send(request, first_headers, sink));
            TENON_TRY(std::optional<net::ClientRequest> next,
                      net::follow_redirect(request, answer.status, answer.headers));
            if (!next.has_value()) return answer;
            if (!first_headers.has_value()) first_headers = answer.headers;
            request = std::move(*next);
        }
        return Error{Code::kInvalid, fmt::format("more than {} redirects, the last to {}",
                                                 kRedirectsMax, request.url.substr(0, 200))};
    }

    void stop() override { is_ended_.store(true); }

    bool wait(milliseconds time) const override {
        const Clock::time_point end = Clock::now() + time;
        while (!is_stopped()) {
            const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
            if (left.count() <= 0) return true;
            std::this_thread::sleep_for(std::min(left, kTick));
        }
        return false;
    }

    const FetchOptions& options() const override { return options_; }

private:
    bool is_stopped() const {
        return is_ended_.load() ||
               (cancel_ != nullptr && __atomic_load_n(cancel_, __ATOMIC_RELAXED) != 0);
    }
    static Error stopped() { return {Code::kCancelled, "interrupted"}; }

    Result<FetchAnswer> send(const net::ClientRequest& request,
                             const std::optional<net::Headers>& first_headers,
                             const FetchSink& sink) {
        const auto flight = std::make_shared<Flight>();
        flight->answer.sent = request;
        // `sink` outlives the callbacks: this call returns after on_end.
        net::ClientCallbacks callbacks;
        callbacks.on_head = [flight, &request, &first_headers, &sink](int status,
                                                                      const net::Headers& headers) {
            FetchAnswer& answer = flight->answer;
            answer.status = status;
            answer.headers = headers;
            answer.first_headers = first_headers.has_value() ? *first_headers : headers;
            const auto next = net::follow_redirect(request, status, headers);
            flight->is_final = next.ok() && !next->has_value();
            if (flight->is_final && sink.on_head) refuse(*flight, sink.on_head(answer));
        };
        callbacks.on_body = [flight, &sink](std::string_view piece) {
            flight->bytes.fetch_add(piece.size());
            if (flight->has_refused) return;
            if (flight->is_final) {
                refuse(*flight, sink.on_body ? sink.on_body(piece) : Status());
            } else if ((flight->dropped += piece.size()) > kRefusedBodyMax) {
                refuse(*flight, Error{Code::kCancelled, "enough of a redirect's body"});
            }
        };
        callbacks.on_end = [flight](Status status) {
            const std::lock_guard lock(flight->mutex);
            flight->end = std::move(status);
            flight->is_over.notify_all();
        };
        const std::shared_ptr<net::ClientCall> call = client_->start(request, std::move(callbacks));
        const Status status = await(*flight, *call);
        if (flight->has_refused) {
            if (flight->refusal.error().code != Code::kCancelled) return flight->refusal.error();
            return std::move(flight->answer);
        }
        TENON_CHECK(status);
        return std::move(flight->answer);
    }

    static void refuse(Flight& flight, Status status) {
        if (status.ok()) return;
        flight.refusal = std::move(status);
        flight.has_refused = true;
        flight.wants_cancel.store(true);
        const std::lock_guard lock(flight.mutex);
        flight.is_over.notify_all();
    }

    // Until on_end has run.
    Status await(Flight& flight, net::ClientCall& call) {
        const uint64_t window_bytes =
            kBytesPerSecondMin * static_cast<uint64_t>(options_.timeout.count()) / 1000;
        Clock::time_point window = Clock::now();
        uint64_t seen = 0;
        bool is_cancelled = false;
        Status reason;
        std::unique_lock lock(flight.mutex);
        while (!flight.end.has_value()) {
            flight.is_over.wait_for(lock, kTick);
            if (flight.end.has_value() || is_cancelled) continue;
            if (is_stopped()) {
                reason = stopped();
            } else if (Clock::now() - window >= options_.timeout) {
                // The head has a clock of its own; this one is for bodies that drip.
                const uint64_t bytes = flight.bytes.load();
                if (bytes > 0 && bytes - seen < window_bytes) {
                    reason =
                        Error{Code::kTimeout,
                              fmt::format("fewer than {} bytes a second came for {} s",
                                          kBytesPerSecondMin, options_.timeout.count() / 1000)};
                }
                window = Clock::now();
                seen = bytes;
            }
            if (reason.ok() && !flight.wants_cancel.load()) continue;
            is_cancelled = true;
            lock.unlock();
            call.cancel();
            lock.lock();
        }
        if (!reason.ok() && !flight.end->ok()) return reason;
        return *flight.end;
    }

    std::unique_ptr<net::Client> client_;
    const FetchOptions options_;
    const uint32_t* const cancel_;
    std::atomic<bool> is_ended_{false};
};

}  // namespace

Result<std::unique_ptr<Fetcher>> Fetcher::create(const FetchOptions& options,
                                                 const uint32_t* cancel) {
    net::ClientOptions client;
    client.io_threads = std::max(1u, options.connections);
    client.connect_timeout = std::min(options.timeout, milliseconds(10'000));
    client.proxies = options.proxies;
    TENON_TRY(std::unique_ptr<net::Client> made, net::Client::create(client));
    return std::unique_ptr<Fetcher>(
        std::make_unique<ClientFetcher>(std::move(made), options, cancel));
}

Result<FetchAnswer> Fetcher::get_text(net::ClientRequest request, uint64_t bytes_max,
                                      std::string& body) {
    body.clear();
    FetchSink sink;
    sink.on_body = [&](std::string_view piece) -> Status {
        if (piece.size() > bytes_max - body.size()) {
            return Error{Code::kData, fmt::format("the answer has more than {} bytes", bytes_max)};
        }
        body.append(piece);
        return {};
    };
    return get(std::move(request), sink);
}

}  // namespace tenon::hub
