// What remains of a request once it is over: one line of the log and its place in the metrics.
#pragma once

#include "core/net/http_server.h"
#include "core/server/route.h"

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace tenon {
class Log;
}

namespace tenon::server {

class Metrics;

// Where records go; outlives every request. Either may be null.
struct RecordSinks {
    Log* log = nullptr;
    Metrics* metrics = nullptr;
};

// Shared by the connection and by the request's context; the last of both to go writes it down, so
// that every fact is there and nobody reads what another thread still writes.
class RequestRecord {
public:
    explicit RequestRecord(RecordSinks sinks) : sinks_(sinks) {}
    ~RequestRecord();
    RequestRecord(const RequestRecord&) = delete;
    RequestRecord& operator=(const RequestRecord&) = delete;

    // From the head; then only read.
    const Route* route = nullptr;  // null: nothing was matched
    std::string name;              // of the route's {name}
    std::string method, path, client;
    std::string request_id, traceparent, cors_origin;
    Caller caller;
    std::chrono::steady_clock::time_point received;
    std::shared_ptr<void> hold;  // a place at the door, given back with the record

    // The context of this request, which leaves its facts here when it goes. It holds the exchange;
    // the record does not, so that an exchange never owns itself.
    static std::shared_ptr<RequestContext> open_context(std::shared_ptr<RequestRecord> record,
                                                        std::shared_ptr<net::Exchange> exchange);
    void on_access(const net::Handler::Access& access);
    // A request that the dispatcher refused: it never had a context.
    void refuse(std::string error_code);

private:
    struct Facts {
        std::string model, error_code, finish_reason;
        uint32_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;
        double queue_ms = 0, first_token_ms = 0;
    };

    RecordSinks sinks_;
    std::mutex mutex_;
    Facts facts_;
    int status_ = 0;
    uint64_t bytes_sent_ = 0;
    double ms_ = 0;
    std::optional<net::CloseReason> closed_;
    bool has_ended_ = false;
};

}  // namespace tenon::server
