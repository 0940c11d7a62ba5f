// Figures of a load test.
#pragma once

#include "core/base/json_writer.h"
#include "core/base/result.h"
#include "core/cli/load_generator.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

// What a request must keep to count as good, in milliseconds; 0: no demand.
struct Goodput {
    double ttft_ms = 0;  // until the first text
    double itl_ms = 0;   // mean gap between pieces of text
    double e2e_ms = 0;   // until the end

    bool is_set() const noexcept { return ttft_ms > 0 || itl_ms > 0 || e2e_ms > 0; }
    bool is_met(const LoadRecord& record) const noexcept;
};

// "ttft:500ms,itl:100ms,e2e:10s"; each part at most once.
Result<Goodput> parse_goodput(std::string_view text);

// Nearest rank: the smallest sample that at least that share of all samples does not exceed.
struct Quantiles {
    double mean = 0, p50 = 0, p95 = 0, p99 = 0, max = 0;
    size_t count = 0;
};
Quantiles quantiles(std::vector<double> samples);

struct LoadSummary {
    struct ErrorCount {
        std::string kind;
        uint32_t count = 0;
        std::string example;
    };

    uint32_t completed = 0, failed = 0, cancelled = 0, good = 0, in_flight_max = 0;
    double seconds = 0;
    uint64_t input_tokens = 0, output_tokens = 0;  // of requests that were completed
    Quantiles ttft, inter_token, e2e;
    std::vector<ErrorCount> errors;  // the most frequent first

    double per_second(double count) const noexcept { return seconds > 0 ? count / seconds : 0; }
};

LoadSummary summarize(const LoadResult& result, const Goodput& goodput);

// Members of an object that is open.
void write_json(JsonWriter& json, const LoadSummary& summary, const Goodput& goodput);
// Lines for a person, each with its line end.
std::string to_text(const LoadSummary& summary, const Goodput& goodput);

}  // namespace tenon::cli
