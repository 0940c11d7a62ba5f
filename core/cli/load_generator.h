// Puts load on a server: a closed loop keeps so many requests in flight, an open loop sends at
// given times whatever the server does.
#pragma once

#include "core/cli/load_record.h"
#include "core/net/http_client.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace tenon::cli {

struct LoadSchedule {
    uint32_t requests = 1;
    uint32_t concurrency = 1;  // closed loop
    double rate = 0;           // requests per second; above 0: open loop with Poisson arrivals
    uint64_t seed = 1;         // of the arrivals
};

struct LoadResult {
    std::vector<LoadRecord> records;  // of the requests that were sent, by number
    double seconds = 0;               // from the first due time to the last end
    uint32_t in_flight_max = 0;
    bool interrupted = false;
};

// Arrival times of an open loop, in seconds, ascending.
std::vector<double> arrival_times(const LoadSchedule& schedule);

// Sends request 0, 1, ... of `make`, which runs on this thread and on one of the client. Ends when
// all have ended; once *cancel is not 0 the rest is cancelled.
LoadResult run_load(net::Client& client, const LoadSchedule& schedule,
                    const std::function<net::ClientRequest(uint32_t)>& make, const uint32_t* cancel,
                    const std::function<void(uint64_t done, uint64_t total)>& on_progress);

}  // namespace tenon::cli
