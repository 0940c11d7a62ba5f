// What one request of a load test met.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::cli {

// Times in milliseconds from the moment at which the request was due.
struct LoadRecord {
    enum class End { kNone, kOk, kFailed, kCancelled };

    End end = End::kNone;
    double first_ms = 0;  // until the first text; 0: there was none
    double end_ms = 0;
    std::vector<double> gaps_ms;  // between pieces of text
    uint32_t input_tokens = 0, output_tokens = 0;
    std::string kind, message;  // of a failure: "http 429", "cut", ...

    double mean_gap_ms() const noexcept {
        double sum = 0;
        for (const double gap : gaps_ms)
            sum += gap;
        return gaps_ms.empty() ? 0 : sum / static_cast<double>(gaps_ms.size());
    }
};

}  // namespace tenon::cli
