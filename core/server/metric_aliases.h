// The same metrics under the names of other servers, for dashboards and autoscalers that know them.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::server {

struct AliasFacts {
    std::string model;
    uint32_t block_tokens = 0;
};

// Append to `families`. What we have nothing for is left out, never invented.
void add_vllm_names(std::vector<prometheus::MetricFamily>& families, const AliasFacts& facts);
void add_sglang_names(std::vector<prometheus::MetricFamily>& families, const AliasFacts& facts);

}  // namespace tenon::server
