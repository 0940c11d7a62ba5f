#include "core/server/request_record.h"

#include "core/base/log.h"
#include "core/server/metrics.h"

#include <vector>

namespace tenon::server {

namespace {

const char* name_of(net::CloseReason reason) {
    switch (reason) {
        case net::CloseReason::kClientGone: return "client_gone";
        case net::CloseReason::kWriteStall: return "write_stall";
        case net::CloseReason::kDeadline: return "deadline";
        case net::CloseReason::kServerStop: return "server_stop";
    }
    return "unknown";
}

// The trace id of a checked traceparent.
std::string_view trace_of(std::string_view traceparent) {
    return traceparent.size() >= 35 ? traceparent.substr(3, 32) : std::string_view();
}

}  // namespace

std::shared_ptr<RequestContext> RequestRecord::open_context(
    std::shared_ptr<RequestRecord> record, std::shared_ptr<net::Exchange> exchange) {
    auto* context = new RequestContext;
    context->exchange = std::move(exchange);
    context->route = record->route;
    context->name = record->name;
    context->caller = record->caller;
    context->request_id = record->request_id;
    context->traceparent = record->traceparent;
    context->cors_origin = record->cors_origin;
    context->received = record->received;
    return std::shared_ptr<RequestContext>(context, [record](RequestContext* ended) {
        {
            const std::lock_guard lock(record->mutex_);
            record->facts_ = {std::move(ended->model),
                              std::move(ended->error_code),
                              std::move(ended->finish_reason),
                              ended->prompt_tokens,
                              ended->cached_tokens,
                              ended->output_tokens,
                              ended->queue_ms,
                              ended->first_token_ms};
        }
        delete ended;
    });
}

void RequestRecord::on_access(const net::Handler::Access& access) {
    const std::lock_guard lock(mutex_);
    status_ = access.status;
    bytes_sent_ = access.bytes_sent;
    ms_ = access.ms;
    closed_ = access.closed;
    has_ended_ = true;
}

void RequestRecord::refuse(std::string error_code) {
    const std::lock_guard lock(mutex_);
    facts_.error_code = std::move(error_code);
}

RequestRecord::~RequestRecord() {
    if (!has_ended_) return;
    const bool is_inference = route != nullptr && route->is_inference;
    if (sinks_.metrics != nullptr) {
        RequestFacts facts;
        facts.route = route;
        facts.status = status_;
        facts.seconds = ms_ / 1000;
        facts.finish_reason = facts_.finish_reason;
        facts.error_code = facts_.error_code;
        facts.cancelled = closed_ ? name_of(*closed_) : "";
        sinks_.metrics->on_request(facts);
    }
    // Probes and scrapes come every second and say nothing.
    const bool is_poll = route != nullptr && route->access != Access::kKey;
    const LogLevel level = is_poll ? LogLevel::kDebug : LogLevel::kInfo;
    if (sinks_.log == nullptr || !sinks_.log->wants(level)) return;
    std::vector<LogField> fields = {{"request_id", request_id}, {"method", method}, {"path", path}};
    if (const std::string_view trace = trace_of(traceparent); !trace.empty()) {
        fields.push_back({"trace_id", trace});
    }
    if (!client.empty()) fields.push_back({"client", client});
    if (!caller.key_id.empty()) fields.push_back({"key_id", caller.key_id});
    fields.push_back({"status", status_});
    if (!facts_.error_code.empty()) fields.push_back({"error", facts_.error_code});
    if (is_inference) {
        fields.push_back({"model", facts_.model});
        if (!facts_.finish_reason.empty()) fields.push_back({"finish", facts_.finish_reason});
        fields.push_back({"prompt_tokens", facts_.prompt_tokens});
        fields.push_back({"cached_tokens", facts_.cached_tokens});
        fields.push_back({"output_tokens", facts_.output_tokens});
        fields.push_back({"queue_ms", facts_.queue_ms});
        fields.push_back({"ttft_ms", facts_.first_token_ms});
    }
    if (closed_) fields.push_back({"cancelled", name_of(*closed_)});
    fields.push_back({"bytes", bytes_sent_});
    fields.push_back({"total_ms", ms_});
    sinks_.log->write(level, "request", fields);
}

}  // namespace tenon::server
