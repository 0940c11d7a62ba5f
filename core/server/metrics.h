// Counters, gauges and histograms of the server, in Prometheus' text form.
#pragma once

#include "core/engine/engine_client.h"
#include "core/net/http_server.h"
#include "core/server/route.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::server {

// One request that ended. Texts become labels only when they are of our own short lists.
struct RequestFacts {
    const Route* route = nullptr;  // null: no route was matched
    int status = 0;
    double seconds = 0;
    std::string finish_reason, error_code;
    std::string cancelled;  // why the client did not get it all; empty: it did
};

// A device, as its driver reports it.
struct DeviceUse {
    std::string name;
    double utilization = 0;  // 0..1
    uint64_t memory_used = 0, memory_total = 0;
};

// What a scrape asks for; called on the thread of the scrape, must be quick. Empty ones are left
// out.
struct MetricSources {
    std::function<std::optional<engine::EngineStats>()> engine;
    std::function<std::shared_ptr<const engine::EngineInfo>()> info;
    std::function<std::vector<net::ServerStats>()> servers;
    std::function<std::vector<DeviceUse>()> devices;  // empty: the engine's busy share stands in
    std::function<uint64_t()> log_dropped;
    std::function<std::optional<int64_t>()> certificate_expires_in;  // seconds
    std::function<uint32_t()> queue;                                 // requests at the door
};

struct MetricOptions {
    std::string version;
    bool vllm = false, sglang = false;  // these servers' names as well
};

// Thread-safe.
class Metrics {
public:
    explicit Metrics(MetricOptions options);
    ~Metrics();

    // Before the first scrape.
    void set_sources(MetricSources sources);

    void on_request(const RequestFacts& facts);
    void on_rejected(std::string_view reason);  // of our own short list
    void on_auth_failure();
    void on_reload(std::string_view what, bool ok);
    void observe_queue(double seconds);
    void observe_first_token(double seconds);
    void observe_gap(double seconds);  // between two tokens of one sequence
    void on_startup(double seconds, double load_seconds);

    // Text exposition format 0.0.4.
    std::string render();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::server
