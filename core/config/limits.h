// Every limit on what a client may send or hold, in one table. YAML section `limits:`; each row is
// driven by a test. 0 never means unlimited.
#pragma once

#include "core/config/fields.h"

#include <cstdint>

namespace tenon::config {

// Sizes in bytes, times in milliseconds unless a name says otherwise.
struct Limits {
    // HTTP, while reading.
    uint32_t request_line_bytes = 8 << 10;
    uint32_t header_bytes = 8 << 10;
    uint32_t headers_bytes = 32 << 10;
    uint32_t headers_count = 100;
    uint32_t header_ms = 10'000;
    uint32_t body_gap_ms = 10'000;
    uint32_t body_total_ms = 60'000;
    uint32_t body_rate_bytes = 1 << 10;  // per second, after 5 s
    uint32_t body_bytes = 8 << 20;
    uint32_t chunk_extension_bytes = 256;
    uint32_t chunks_count = 16'384;
    uint32_t trailers_bytes = 4 << 10;

    // Connections.
    uint32_t connections = 4'096;  // and never more than half of the file descriptors
    uint32_t connections_per_ip = 256;
    uint32_t unauthenticated_per_ip = 16;  // requests in flight before a key was accepted
    uint32_t keep_alive_ms = 75'000;
    uint32_t write_stall_ms = 30'000;
    uint32_t stream_high_bytes = 256 << 10;  // generation pauses
    uint32_t stream_low_bytes = 64 << 10;    // and goes on
    uint32_t ping_ms = 15'000;               // comment in a silent stream

    // JSON.
    uint32_t json_depth = 64;
    uint32_t json_keys = 1'024;

    // Fields of a request.
    uint32_t messages = 2'048;
    uint32_t content_parts = 256;
    uint32_t n = 8;
    uint32_t stop_strings = 4;
    uint32_t stop_bytes = 256;
    uint32_t stop_token_ids = 64;
    uint32_t logit_bias = 1'024;
    uint32_t top_logprobs = 20;
    uint32_t completion_prompts = 64;
    uint32_t embedding_inputs = 2'048;
    uint32_t max_tokens_default = 1'024;

    // Queue of the model.
    uint32_t queue_requests = 256;
    uint32_t queue_bytes = 64 << 20;
    uint32_t queue_wait_ms = 30'000;

    // One key.
    uint32_t key_requests_per_second = 10;
    uint32_t key_requests_burst = 20;
    uint32_t key_tokens_per_minute = 200'000;
    uint32_t key_streams = 32;
    uint32_t ip_requests_per_minute = 6'000;
    uint32_t ip_tokens_per_minute = 2'000'000;
    uint32_t failed_auth_per_minute = 10;
    uint32_t failed_auth_block_ms = 60'000;

    // The process.
    uint32_t shed_idle_percent = 92;  // of the host budget: idle connections are closed
    uint32_t shed_refuse_percent = 95;
    uint32_t drain_delay_ms = 5'000;
    uint32_t drain_budget_ms = 300'000;
    uint32_t stall_unready_ms = 10'000;
    uint32_t stall_abort_ms = 30'000;
    uint32_t log_line_bytes = 8 << 10;
    uint32_t log_lines_per_second = 1'000;
};

// visit(name, field, constraint, text)
template <class Visitor>
void visit_fields(Limits& l, Visitor&& visit) {
    const auto row = [&](const char* name, uint32_t& field, int64_t max, const char* unit,
                         const char* text) {
        visit(name, field, Constraint{.min = 1, .max = max, .unit = unit}, text);
    };
    row("request_line_bytes", l.request_line_bytes, 1 << 20, "bytes", "longest request line (414)");
    row("header_bytes", l.header_bytes, 1 << 20, "bytes", "longest header (431)");
    row("headers_bytes", l.headers_bytes, 8 << 20, "bytes", "all headers together (431)");
    row("headers_count", l.headers_count, 10'000, "headers", "headers of a request (431)");
    row("header_ms", l.header_ms, 3'600'000, "ms", "until all headers are read (408)");
    row("body_gap_ms", l.body_gap_ms, 3'600'000, "ms", "between two pieces of a body (408)");
    row("body_total_ms", l.body_total_ms, 3'600'000, "ms", "until a body is read (408)");
    row("body_rate_bytes", l.body_rate_bytes, 1 << 30, "bytes/s", "slowest body after 5 s (408)");
    row("body_bytes", l.body_bytes, 1 << 30, "bytes", "largest body, counted while reading (413)");
    row("chunk_extension_bytes", l.chunk_extension_bytes, 1 << 20, "bytes", "extension of a chunk");
    row("chunks_count", l.chunks_count, 1 << 24, "chunks", "chunks of a body");
    row("trailers_bytes", l.trailers_bytes, 1 << 20, "bytes", "trailers of a chunked body");
    row("connections", l.connections, 1 << 20, "connections",
        "open connections; never more than half of the file descriptors");
    row("connections_per_ip", l.connections_per_ip, 1 << 20, "connections",
        "open connections of one address");
    row("unauthenticated_per_ip", l.unauthenticated_per_ip, 1 << 20, "requests",
        "requests of one address in flight before their key was accepted");
    row("keep_alive_ms", l.keep_alive_ms, 86'400'000, "ms", "an idle connection stays open");
    row("write_stall_ms", l.write_stall_ms, 3'600'000, "ms", "a client that reads nothing is cut");
    row("stream_high_bytes", l.stream_high_bytes, 1 << 30, "bytes",
        "unsent bytes of a stream at which its generation pauses");
    row("stream_low_bytes", l.stream_low_bytes, 1 << 30, "bytes", "and at which it goes on");
    row("ping_ms", l.ping_ms, 3'600'000, "ms", "silence of a stream before a comment is sent");
    row("json_depth", l.json_depth, 1'000, "levels", "nesting of a JSON body");
    row("json_keys", l.json_keys, 1 << 20, "keys", "keys of one JSON object");
    row("messages", l.messages, 1 << 20, "messages", "messages of a chat");
    row("content_parts", l.content_parts, 1 << 20, "parts", "parts of a message's content");
    row("n", l.n, 128, "answers", "answers to one prompt");
    row("stop_strings", l.stop_strings, 64, "strings", "stop strings of a request");
    row("stop_bytes", l.stop_bytes, 4'096, "bytes", "longest stop string");
    row("stop_token_ids", l.stop_token_ids, 4'096, "ids", "stop token ids of a request");
    row("logit_bias", l.logit_bias, 1 << 20, "entries", "logit biases of a request");
    row("top_logprobs", l.top_logprobs, 100, "tokens", "top log probabilities of a token");
    row("completion_prompts", l.completion_prompts, 4'096, "prompts", "prompts of a completion");
    row("embedding_inputs", l.embedding_inputs, 1 << 20, "inputs", "inputs of an embedding");
    row("max_tokens_default", l.max_tokens_default, 1 << 24, "tokens",
        "longest answer where a request names none");
    row("queue_requests", l.queue_requests, 1 << 20, "requests", "requests that wait");
    row("queue_bytes", l.queue_bytes, 1 << 30, "bytes", "bodies of requests that wait");
    row("queue_wait_ms", l.queue_wait_ms, 3'600'000, "ms", "longest wait before a 503");
    row("key_requests_per_second", l.key_requests_per_second, 1 << 20, "requests/s",
        "steady rate of one key");
    row("key_requests_burst", l.key_requests_burst, 1 << 20, "requests", "burst of one key");
    row("key_tokens_per_minute", l.key_tokens_per_minute, 1 << 30, "tokens/min",
        "prompt and output tokens of one key");
    row("key_streams", l.key_streams, 1 << 20, "requests", "requests of one key in flight");
    row("ip_requests_per_minute", l.ip_requests_per_minute, 1 << 30, "requests/min",
        "requests of one address");
    row("ip_tokens_per_minute", l.ip_tokens_per_minute, 1 << 30, "tokens/min",
        "prompt and output tokens of one address");
    row("failed_auth_per_minute", l.failed_auth_per_minute, 1 << 20, "failures/min",
        "wrong keys of one address before it is blocked");
    row("failed_auth_block_ms", l.failed_auth_block_ms, 86'400'000, "ms", "how long it is blocked");
    row("shed_idle_percent", l.shed_idle_percent, 100, "percent",
        "of the host memory budget: keep-alive ends");
    row("shed_refuse_percent", l.shed_refuse_percent, 100, "percent",
        "of the host memory budget: new requests are refused");
    row("drain_delay_ms", l.drain_delay_ms, 3'600'000, "ms",
        "after SIGTERM: not ready, still accepting");
    row("drain_budget_ms", l.drain_budget_ms, 86'400'000, "ms",
        "after SIGTERM: running requests may finish");
    row("stall_unready_ms", l.stall_unready_ms, 3'600'000, "ms",
        "no progress inside a step: not ready");
    row("stall_abort_ms", l.stall_abort_ms, 3'600'000, "ms",
        "no progress inside a step: the engine is restarted");
    row("log_line_bytes", l.log_line_bytes, 1 << 20, "bytes", "longest line of the log");
    row("log_lines_per_second", l.log_lines_per_second, 1 << 20, "lines/s",
        "above it lines are counted and dropped");
}

}  // namespace tenon::config
