// The front of `tenon serve`: two listeners, the routes behind them, and what all requests share.
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/config/serve_config.h"
#include "core/engine/engine_client.h"
#include "core/engine/loaded_model.h"
#include "core/server/route.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tenon::server {

struct Service;
struct DeviceUse;

struct FrontOptions {
    config::ServeConfig config;
    std::string version;
    Log* log = nullptr;  // outlives the front; may be null
    // Use of each device as its driver reports it; null or empty: unknown.
    std::function<std::vector<DeviceUse>()> devices;
};

// Thread-safe, but for attach() and the destructor.
class Front {
public:
    // Checks the configuration, reads the keys and listens at once: until attach() /health says 503
    // "loading". kConfig for whatever the operator can put right, a port in use included.
    static Result<std::unique_ptr<Front>> start(FrontOptions options);
    ~Front();  // stop_now

    // The model is there and computes. Called once. Requests use both: stop_now() first, then let the
    // engine go, then the front, so that the last sinks still find what they write to.
    void attach(engine::EngineClient& engine, const engine::LoadedModel& model);
    void note_startup(double seconds, double load_seconds);

    uint16_t port() const;
    uint16_t admin_port() const;
    std::string url() const;  // "http://127.0.0.1:30000"
    std::string admin_url() const;

    // Drain, first half: not ready any more, everything still accepted.
    void announce_drain();
    // Second half: new work is 503, connections close once they are idle.
    void refuse_new();
    // Nothing is being answered.
    bool is_idle() const;
    void stop_now();

    // Reads keys and certificates again; what cannot be read stays as it was, is logged and counted.
    // False when something failed.
    bool reload();
    // Called every second or so: closes idle connections when memory is short.
    void tend();

    const RouteTable& routes() const;
    Service& service();

private:
    struct Impl;
    explicit Front(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Every route there is, in order. What is marked [loaded] in `service` may come later.
void add_all_routes(RouteTable& table, Service& service);
// [{"method":"GET","path":"/health","access":"public"}, ...]
std::string routes_json(const RouteTable& table);

}  // namespace tenon::server
