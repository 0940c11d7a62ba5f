// What every endpoint shares: the engine, the tokenizer, the limits, admission. Lives as long as the
// server. Thread-safe.
//
// The server listens before the model is loaded. Until `is_loaded` it answers 503 to every route but
// the public ones, and what is marked [loaded] is not there yet: add_*_routes must not read it, a
// handler that is not public may.
#pragma once

#include "core/config/serve_config.h"
#include "core/engine/engine_client.h"
#include "core/engine/loaded_model.h"
#include "core/server/route.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tenon::server {

class Metrics;
class Admission;

struct Service {
    engine::EngineClient* engine = nullptr;      // [loaded] not owned
    const engine::LoadedModel* model = nullptr;  // [loaded] not owned: tokenizer and template
    config::Limits limits;
    config::TimeoutConfig timeouts;
    std::vector<std::string> model_names;  // [loaded] what clients may call it; the first is ours
    bool strict = false;                   // unknown fields are 400 instead of ignored
    bool deterministic = false;
    uint32_t context_length = 0;  // [loaded] as the engine runs it
    uint32_t vocab_size = 0;      // [loaded] width of the logits
    Admission* admission = nullptr;
    Metrics* metrics = nullptr;
    std::string version;

    std::atomic<bool> is_loaded{false};    // set once, after everything above
    std::atomic<bool> is_draining{false};  // not ready any more; /health says so
};

// Routes of one family; each is a file of its own.
void add_openai_routes(RouteTable& table, Service& service);     // chat, completions, models
void add_embedding_routes(RouteTable& table, Service& service);  // /v1/embeddings
void add_responses_routes(RouteTable& table, Service& service);  // /v1/responses
void add_anthropic_routes(RouteTable& table, Service& service);  // /v1/messages, count_tokens
void add_text_routes(RouteTable& table, Service& service);       // tokenize, detokenize, template
void add_sagemaker_routes(RouteTable& table, Service& service);  // /ping, /invocations
void add_health_routes(RouteTable& table, Service& service);     // health, info, loads, version
void add_admin_routes(RouteTable& table, Service& service);      // metrics, flush_cache
void add_openapi_route(RouteTable& table, Service& service);     // describes all of the above

}  // namespace tenon::server
