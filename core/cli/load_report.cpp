#include "core/cli/load_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

namespace tenon::cli {

namespace {

// "500ms", "10s"; nothing for anything else.
double milliseconds_of(std::string_view text) {
    double number = 0;
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    const std::string_view unit(end, static_cast<size_t>(last - end));
    if (error != std::errc{} || !(number > 0) || number > 1e9) return 0;
    return unit == "ms" ? number : unit == "s" ? number * 1000 : 0;
}

void write_quantiles(JsonWriter& json, std::string_view name, const Quantiles& q) {
    json.key(name).begin_object().field("mean", q.mean).field("p50", q.p50).field("p95", q.p95);
    json.field("p99", q.p99).field("max", q.max).field("count", q.count).end_object();
}

std::string row(const char* name, const Quantiles& q) {
    return fmt::format("  {:14}{:>10.2f}{:>10.2f}{:>10.2f}{:>10.2f}{:>10.2f}\n", name, q.mean,
                       q.p50, q.p95, q.p99, q.max);
}

}  // namespace

bool Goodput::is_met(const LoadRecord& record) const noexcept {
    return record.end == LoadRecord::End::kOk && (ttft_ms <= 0 || record.first_ms <= ttft_ms) &&
           (itl_ms <= 0 || record.mean_gap_ms() <= itl_ms) &&
           (e2e_ms <= 0 || record.end_ms <= e2e_ms);
}

Result<Goodput> parse_goodput(std::string_view text) {
    Goodput goodput;
    std::string_view rest = text;
    while (true) {
        const size_t comma = rest.find(',');
        const std::string_view part = rest.substr(0, comma);
        const size_t colon = std::min(part.find(':'), part.size());
        const std::string_view name = part.substr(0, colon);
        double* field = name == "ttft"  ? &goodput.ttft_ms
                        : name == "itl" ? &goodput.itl_ms
                        : name == "e2e" ? &goodput.e2e_ms
                                        : nullptr;
        const double value = colon < part.size() ? milliseconds_of(part.substr(colon + 1)) : 0;
        if (field == nullptr || *field > 0 || value <= 0) {
            return Error{
                Code::kInvalid,
                fmt::format("expected parts such as ttft:500ms,itl:100ms,e2e:10s, got '{}'", part)};
        }
        *field = value;
        if (comma == std::string_view::npos) return goodput;
        rest.remove_prefix(comma + 1);
    }
}

Quantiles quantiles(std::vector<double> samples) {
    Quantiles q;
    q.count = samples.size();
    if (samples.empty()) return q;
    std::sort(samples.begin(), samples.end());
    const double n = static_cast<double>(samples.size());
    const auto rank = [&](double share) {
        return samples[static_cast<size_t>(std::max(std::ceil(share * n), 1.0)) - 1];
    };
    double sum = 0;
    for (const double sample : samples)
        sum += sample;
    q.mean = sum / n;
    q.p50 = rank(0.50);
    q.p95 = rank(0.95);
    q.p99 = rank(0.99);
    q.max = samples.back();
    return q;
}

LoadSummary summarize(const LoadResult& result, const Goodput& goodput) {
    LoadSummary summary;
    summary.seconds = result.seconds;
    summary.in_flight_max = result.in_flight_max;
    std::vector<double> ttft, gaps, e2e;
    std::map<std::string, LoadSummary::ErrorCount> errors;
    for (const LoadRecord& record : result.records) {
        if (record.end == LoadRecord::End::kFailed) {
            ++summary.failed;
            LoadSummary::ErrorCount& error = errors[record.kind];
            if (error.count++ == 0) error.example = record.message;
            continue;
        }
        if (record.end != LoadRecord::End::kOk) {
            ++summary.cancelled;
            continue;
        }
        ++summary.completed;
        summary.good += goodput.is_met(record) ? 1 : 0;
        summary.input_tokens += record.input_tokens;
        summary.output_tokens += record.output_tokens;
        if (record.first_ms > 0) ttft.push_back(record.first_ms);
        gaps.insert(gaps.end(), record.gaps_ms.begin(), record.gaps_ms.end());
        e2e.push_back(record.end_ms);
    }
    summary.ttft = quantiles(std::move(ttft));
    summary.inter_token = quantiles(std::move(gaps));
    summary.e2e = quantiles(std::move(e2e));
    for (auto& [kind, error] : errors) {
        error.kind = kind;
        summary.errors.push_back(std::move(error));
    }
    std::stable_sort(summary.errors.begin(), summary.errors.end(),
                     [](const auto& a, const auto& b) { return a.count > b.count; });
    return summary;
}

void write_json(JsonWriter& json, const LoadSummary& summary, const Goodput& goodput) {
    json.field("completed", summary.completed).field("failed", summary.failed);
    json.field("cancelled", summary.cancelled).field("seconds", summary.seconds);
    json.field("in_flight_max", summary.in_flight_max);
    json.field("input_tokens", summary.input_tokens);
    json.field("output_tokens", summary.output_tokens);
    json.field("requests_per_second", summary.per_second(summary.completed));
    json.field("output_tokens_per_second",
               summary.per_second(static_cast<double>(summary.output_tokens)));
    json.field("tokens_per_second", summary.per_second(static_cast<double>(summary.input_tokens +
                                                                           summary.output_tokens)));
    write_quantiles(json, "ttft_ms", summary.ttft);
    write_quantiles(json, "inter_token_ms", summary.inter_token);
    write_quantiles(json, "e2e_ms", summary.e2e);
    json.key("goodput");
    if (goodput.is_set()) {
        const uint32_t asked = summary.completed + summary.failed;
        json.begin_object().field("ttft_ms", goodput.ttft_ms).field("itl_ms", goodput.itl_ms);
        json.field("e2e_ms", goodput.e2e_ms).field("requests", summary.good);
        json.field("share", asked > 0 ? double(summary.good) / asked : 0.0);
        json.field("requests_per_second", summary.per_second(summary.good)).end_object();
    } else {
        json.null();
    }
    json.key("errors").begin_array();
    for (const LoadSummary::ErrorCount& error : summary.errors) {
        json.begin_object().field("kind", error.kind).field("count", error.count);
        json.field("example", error.example).end_object();
    }
    json.end_array();
}

std::string to_text(const LoadSummary& summary, const Goodput& goodput) {
    std::string text =
        fmt::format("  {} completed, {} failed{} in {:.2f} s, at most {} at once\n",
                    summary.completed, summary.failed,
                    summary.cancelled > 0 ? fmt::format(", {} cancelled", summary.cancelled) : "",
                    summary.seconds, summary.in_flight_max);
    text += fmt::format(
        "  {:.2f} requests/s, {:.1f} output tokens/s, {:.1f} tokens/s\n",
        summary.per_second(summary.completed),
        summary.per_second(static_cast<double>(summary.output_tokens)),
        summary.per_second(static_cast<double>(summary.input_tokens + summary.output_tokens)));
    text += fmt::format("  {:14}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "ms", "mean", "p50", "p95",
                        "p99", "max");
    text += row("first token", summary.ttft);
    text += row("inter-token", summary.inter_token);
    text += row("end to end", summary.e2e);
    if (goodput.is_set()) {
        const uint32_t asked = summary.completed + summary.failed;
        text += fmt::format("  goodput {:.1f} %, {:.2f} requests/s\n",
                            asked > 0 ? 100.0 * summary.good / asked : 0.0,
                            summary.per_second(summary.good));
    }
    for (const LoadSummary::ErrorCount& error : summary.errors)
        text += fmt::format("  {} x {}: {}\n", error.count, error.kind, error.example);
    return text;
}

}  // namespace tenon::cli
