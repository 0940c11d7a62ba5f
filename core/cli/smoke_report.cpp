#include "core/cli/smoke_report.h"

#include "core/base/json_writer.h"
#include "core/cli/pattern.h"
#include "core/cli/table.h"
#include "core/config/source_excerpt.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

namespace tenon::cli {

namespace {

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpaces = " \t\r\n";
    const size_t begin = text.find_first_not_of(kSpaces);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

std::string shown(std::string_view text) {
    constexpr size_t kLongest = 200;
    if (text.size() <= kLongest) return JsonWriter().value(text).text();
    return JsonWriter().value(text.substr(0, kLongest)).text() + "...";
}

double margin_at(const GreedyTokens& tokens, size_t i) {
    return i < tokens.margins.size() ? tokens.margins[i] : 1e9;
}

std::string id_at(const GreedyTokens& tokens, size_t i) {
    return i < tokens.ids.size() ? std::to_string(tokens.ids[i]) : "the end";
}

// What is wrong with a text; empty when nothing is.
std::string fault_of(const SmokeExpectation& expect, const std::string& text,
                     engine::FinishReason finish) {
    if (!expect.text.empty() && trimmed(text) != trimmed(expect.text)) {
        return fmt::format("text: wanted {}, got {}", shown(expect.text), shown(text));
    }
    for (const std::string& part : expect.contains) {
        if (text.find(part) == std::string::npos) {
            return fmt::format("contains: wanted {} in {}", shown(part), shown(text));
        }
    }
    if (!expect.regex.empty()) {
        const Result<Pattern> pattern = Pattern::compile(expect.regex);
        const Result<bool> found = pattern.ok() ? pattern->finds(text) : pattern.error();
        if (!found.ok()) return found.error().message;
        if (!*found) {
            return fmt::format("regex: {} was not found in {}", expect.regex, shown(text));
        }
    }
    if (!expect.finish.empty() && expect.finish != engine::name_of(finish)) {
        return fmt::format("finish: wanted {}, got {}", expect.finish, engine::name_of(finish));
    }
    return "";
}

}  // namespace

const char* name_of(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::kPassed: return "passed";
        case Verdict::kFailed: return "failed";
        case Verdict::kError: return "error";
    }
    return "?";
}

GreedyTokens greedy_tokens(const std::vector<engine::OutputToken>& tokens) {
    GreedyTokens greedy;
    for (const engine::OutputToken& token : tokens) {
        greedy.ids.push_back(token.token);
        greedy.margins.push_back(
            token.top.size() < 2 ? 1e9 : double{token.top[0].logprob} - token.top[1].logprob);
    }
    return greedy;
}

bool agree(const GreedyTokens& seen, const GreedyTokens& wanted, double near_tie,
           std::string& note) {
    for (size_t i = 0; i < wanted.ids.size(); ++i) {
        if (i < seen.ids.size() && seen.ids[i] == wanted.ids[i]) continue;
        const double margin = std::min(margin_at(seen, i), margin_at(wanted, i));
        if (margin <= near_tie) {
            note = fmt::format("near-tie at token {}: margin {:.4f}, {} for {}", i, margin,
                               id_at(seen, i), id_at(wanted, i));
            return true;
        }
        note = fmt::format("tokens: wanted {} at place {}, got {}{}", id_at(wanted, i), i,
                           id_at(seen, i),
                           margin < 1e9 ? fmt::format(" with a margin of {:.4f}", margin) : "");
        return false;
    }
    return true;
}

void judge(const SmokeCase& one, double near_tie, const std::string& text,
           const std::vector<engine::OutputToken>& tokens, engine::FinishReason finish,
           SmokeResult& result) {
    const GreedyTokens greedy = greedy_tokens(tokens);
    result.text = text;
    result.tokens = greedy.ids;
    if (!agree(greedy, {one.expect.tokens, {}}, near_tie, result.note)) {
        result.verdict = Verdict::kFailed;
        return;
    }
    const std::string fault = fault_of(one.expect, text, finish);
    if (fault.empty()) return;
    result.verdict = Verdict::kFailed;
    result.note = fault;
}

size_t SmokeReport::count(Verdict verdict) const {
    return static_cast<size_t>(
        std::count_if(results.begin(), results.end(),
                      [&](const SmokeResult& result) { return result.verdict == verdict; }));
}

std::string SmokeReport::to_text(bool has_color) const {
    Table table({"CASE", "BACKEND", "TOKENS", "SECONDS", "VERDICT", "NOTE"});
    for (const SmokeResult& result : results) {
        table.row({result.name, result.backend, std::to_string(result.tokens.size()),
                   fmt::format("{:.2f}", result.seconds), name_of(result.verdict), result.note});
    }
    std::string text = table.text();
    const bool ok = is_ok();
    text += fmt::format("{}{} of {} passed{}\n", has_color ? (ok ? "\x1b[32m" : "\x1b[31m") : "",
                        count(Verdict::kPassed), results.size(), has_color ? "\x1b[0m" : "");
    return text;
}

std::string SmokeReport::to_json() const {
    JsonWriter out;
    out.begin_object().field("suite", suite).field("model", model).field("ok", is_ok());
    out.field("passed", count(Verdict::kPassed)).field("failed", count(Verdict::kFailed));
    out.field("errors", count(Verdict::kError)).key("results").begin_array();
    for (const SmokeResult& result : results) {
        out.begin_object().field("case", result.name).field("backend", result.backend);
        out.field("verdict", name_of(result.verdict)).field("note", result.note);
        out.field("text", result.text).array("tokens", result.tokens);
        out.field("seconds", result.seconds).end_object();
    }
    out.end_array().end_object();
    return out.text();
}

std::string xml_text(std::string_view text) {
    std::string line(text);
    // Line breaks stay in place so that offsets do; what XML cannot hold is marked first.
    std::string clean;
    for (std::string_view rest = line; !rest.empty();) {
        const std::optional<config::BadByte> bad = config::find_bad_byte(rest);
        if (!bad) {
            clean += rest;
            break;
        }
        size_t at = 0;
        for (size_t i = 0; i < bad->line; ++i)
            at = rest.find('\n', at) + 1;
        at += bad->column;
        clean += rest.substr(0, at);
        clean += "\xef\xbf\xbd";
        rest.remove_prefix(at + 1);
    }
    std::string out;
    for (size_t i = 0; i < clean.size(); ++i) {
        const char c = clean[i];
        // U+FFFE and U+FFFF are UTF-8 and no characters of XML.
        if (clean.compare(i, 3, "\xef\xbf\xbe") == 0 || clean.compare(i, 3, "\xef\xbf\xbf") == 0) {
            out += "\xef\xbf\xbd";
            i += 2;
            continue;
        }
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&apos;"; break;
            case '\n': out += "&#10;"; break;
            case '\r': out += "&#13;"; break;
            case '\t': out += "&#9;"; break;
            default: out += c;
        }
    }
    return out;
}

std::string SmokeReport::to_junit() const {
    std::map<std::string, std::vector<const SmokeResult*>> by_backend;
    for (const SmokeResult& result : results)
        by_backend[result.backend].push_back(&result);
    std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    out += fmt::format("<testsuites name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">\n",
                       xml_text(suite), results.size(), count(Verdict::kFailed),
                       count(Verdict::kError));
    for (const auto& [backend, list] : by_backend) {
        size_t failures = 0, errors = 0;
        double seconds = 0;
        for (const SmokeResult* result : list) {
            failures += result->verdict == Verdict::kFailed;
            errors += result->verdict == Verdict::kError;
            seconds += result->seconds;
        }
        out += fmt::format(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" "
            "time=\"{:.3f}\">\n",
            xml_text(suite + "." + backend), list.size(), failures, errors, seconds);
        for (const SmokeResult* result : list) {
            out += fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"",
                               xml_text(suite + "." + backend), xml_text(result->name),
                               result->seconds);
            if (result->verdict == Verdict::kPassed) {
                out += "/>\n";
                continue;
            }
            const char* element = result->verdict == Verdict::kFailed ? "failure" : "error";
            out += fmt::format(">\n      <{} message=\"{}\">{}</{}>\n    </testcase>\n", element,
                               xml_text(result->note), xml_text(result->text), element);
        }
        out += "  </testsuite>\n";
    }
    return out + "</testsuites>\n";
}

}  // namespace tenon::cli
